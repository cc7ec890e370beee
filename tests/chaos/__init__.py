"""A storm of kills and faults over both stores; `make chaos` runs it, the test suite a small part of it."""
