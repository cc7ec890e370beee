"""Specs made from one line by a model: six phases, each judged before the next one begins."""
