"""The local Athena: its API, and the engines that run its statements."""
