"""Doctor checks a deployment, from credentials to a row in Postgres, and says what to do."""
