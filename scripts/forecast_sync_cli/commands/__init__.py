"""The commands of ``forecast-sync``, by subject."""
