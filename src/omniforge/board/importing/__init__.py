"""Specs from outside, read and checked whole. Pure, by the standard library only.

The skill spec-to-tickets carries copies of all of this, to check a spec without a server.
"""
