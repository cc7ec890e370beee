"""Notion: databases and pages of a workspace."""
