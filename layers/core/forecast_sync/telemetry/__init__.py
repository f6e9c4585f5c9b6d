"""What functions report about themselves: log lines and metrics."""
