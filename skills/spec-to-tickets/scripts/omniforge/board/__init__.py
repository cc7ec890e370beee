"""The board: specs, tickets and tasks that move by evidence."""
