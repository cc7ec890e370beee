"""Starts the worker: `python3 -m sandbox_kit.worker`."""

from __future__ import annotations

import os
import sys

from sandbox_kit.worker.program import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that still wait for an answer are not waited for
