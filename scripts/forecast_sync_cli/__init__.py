"""The command line: what operators and users run."""
