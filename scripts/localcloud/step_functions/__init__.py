"""What ministack's Step Functions lacks: progress that outlives a failure, and AWS's limits."""
