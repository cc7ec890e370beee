"""Benchmarks: what OmniForge costs beside its peers, both sides measured in the same run."""
