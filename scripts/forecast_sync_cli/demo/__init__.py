"""`make demo`: the whole job on this machine, shown as it happens."""
