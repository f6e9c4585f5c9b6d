"""The benchmark: our loader beside what people would use instead, on one Postgres and one lake."""
