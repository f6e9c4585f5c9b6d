"""The dashboard: one page on loopback that shows a deployment live and operates its runs."""
