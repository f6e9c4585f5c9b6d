"""`make demo`: the whole job on this machine, told as it happens."""
