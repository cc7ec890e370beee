"""Workloads of the peers. They run in an environment of their own; see `bench/environment.py`."""
