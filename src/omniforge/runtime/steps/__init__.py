"""Handlers of the step kinds."""
