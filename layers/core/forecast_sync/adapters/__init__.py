"""The edges: one module for each service that the product talks to."""
