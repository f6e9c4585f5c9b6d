"""What a person runs: the command line, the local cloud, the demo and the benchmark."""
