"""Deliveries of any program that signs as Standard Webhooks says."""
