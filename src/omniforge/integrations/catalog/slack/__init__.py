"""Slack: channels, messages and people of a workspace."""
