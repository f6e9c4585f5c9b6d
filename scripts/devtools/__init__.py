"""What maintainers run: generators of docs/ and of the state machine's JSON, and checkers."""
