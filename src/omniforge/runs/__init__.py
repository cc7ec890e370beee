"""Runs: the one door through which everything starts."""
