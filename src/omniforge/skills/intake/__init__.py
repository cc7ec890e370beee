"""Skills from outside: unpacked safely, kept apart with what was found in them, let in by an explicit yes."""
