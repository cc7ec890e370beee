"""OmniForge: describe recurring work in plain words, get an agent that does it."""
