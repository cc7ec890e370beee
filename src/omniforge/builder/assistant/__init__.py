"""A language model's help with a conversation: it proposes, the rules and the person decide."""

from omniforge.builder.assistant.asking import Assistant
from omniforge.builder.assistant.proposal import Proposal, Situation

__all__ = ["Assistant", "Proposal", "Situation"]
