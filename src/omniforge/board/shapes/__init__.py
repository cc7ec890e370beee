"""What the board takes and gives on the wire, one module per kind of thing."""
