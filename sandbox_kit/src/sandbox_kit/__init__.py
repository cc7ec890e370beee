"""What runs inside a sandbox: the launcher of a program and the library that skill scripts use.

Standard library only, Python 3.9 or newer: the sandbox has the operating system's Python and nothing else.
"""
