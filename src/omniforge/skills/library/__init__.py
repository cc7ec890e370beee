"""The public skill library: published, approved, found, used in a pinned version, rated, withdrawn."""
