"""What travels between the states of a run: one frozen model for each edge of the workflow."""
