"""Agents written in Python: made, tested and run in the program itself, and brought to a server."""

from omniforge.sdk.agent import Agent
from omniforge.sdk.local import Local
from omniforge.sdk.publishing import Deployment
from omniforge.sdk.skills import SkillRef

__all__ = ["Agent", "Deployment", "Local", "SkillRef"]
