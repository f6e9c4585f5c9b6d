"""The local cloud: the real template, state machine and functions on one machine."""
