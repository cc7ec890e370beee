"""The evaluation of labelled sentences is a part of `bench`, which is no package of the product."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
