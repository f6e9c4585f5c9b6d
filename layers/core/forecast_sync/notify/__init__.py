"""Notify: who is sent what, and when it is news."""
