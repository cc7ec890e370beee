"""The conversation about agents that exist: run, look, share, go back, pause, rename, delete, finish."""
