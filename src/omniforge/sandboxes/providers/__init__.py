"""Sandbox providers, each a module that knows nothing of the others."""
