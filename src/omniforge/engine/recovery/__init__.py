"""What happens after a failure: pure strategies over failures, decided with data."""
