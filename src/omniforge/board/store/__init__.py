"""Tables of the board and the queries over them, always one tenant's own."""
