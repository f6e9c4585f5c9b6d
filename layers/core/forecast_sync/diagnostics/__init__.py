"""What an operator asks of a branch's database and of Athena."""
