"""Plan pages: Athena's result becomes pages that loaders take."""
