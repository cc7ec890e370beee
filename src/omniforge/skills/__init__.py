"""Skills, folders with a SKILL.md: read, checked, resolved over ordered roots, written, versioned."""
