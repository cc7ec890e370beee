"""The program that works on one task inside a sandbox: `python3 -m sandbox_kit.worker`.

Standard library only, Python 3.11 or newer.
"""
