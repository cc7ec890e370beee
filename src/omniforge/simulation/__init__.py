"""The whole engine under virtual time with seeded faults: the same seed is the same history, every time."""
