"""The benchmark: our loader and its alternatives, on the same Postgres and the same lake."""
