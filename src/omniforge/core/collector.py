"""The garbage collector of a long-lived process that makes many small objects and few cycles."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 100)
"""Allocations, young and middle collections between two of a kind; at 700, 10, 10 it costs up to a third."""


def calm_collector() -> None:
    """Leave what is there for good (modules, settings) out of every collection, and collect less often.

    Call once, when the process has loaded what it needs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
