"""An operator's questions to a branch's database and to Athena."""
