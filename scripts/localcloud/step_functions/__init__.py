"""Adds to ministack's Step Functions progress that survives a failure, and AWS's limits."""
