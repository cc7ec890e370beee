"""Tests of what runs inside a sandbox. A package, so that this folder does not pass for `sandbox_kit`."""
