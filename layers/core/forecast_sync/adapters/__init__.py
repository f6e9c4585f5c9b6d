"""The edges: a module for each service that the product talks to."""
