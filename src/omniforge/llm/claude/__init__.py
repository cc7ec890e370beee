"""The Claude Agent SDK: its own loop, in a sandbox, with our tools, our budget and our calls to the model."""
