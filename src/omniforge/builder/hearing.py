"""Hears a message with a language model beside the rules, and says a reply in the person's language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from omniforge.builder.assistant import Assistant, Situation
from omniforge.builder.draft import summary_rows
from omniforge.builder.exchange import Facts, Reply
from omniforge.builder.live import Tell
from omniforge.builder.phases import Phase
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.language import FEWEST, is_english
from omniforge.builder.understanding.text import LONGEST_MESSAGE, words
from omniforge.core.actor import Actor

ENGLISH_ONLY = "I understand English only here, so I go on in English."
MOST_NAMED = 60
"""Names of fields and places that are shown to a model."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is needed to listen. Without an assistant, or where no model is set up, the rules are alone."""

    assistant: Assistant | None

    async def hear(
        self, actor: Actor, state: ConversationState, message: str, facts: Facts, tell: Tell
    ) -> tuple[ConversationState, Facts]:
        """The facts with a model's proposal for the message, and the state that remembers what was said of
        it. A model that fails leaves the rules, in this same turn, with an honest word the first time."""
        if not message.strip() or len(message) > LONGEST_MESSAGE:
            return state, facts
        if self.assistant is None or not self.assistant.is_there(actor.tenant_id):
            if is_english(message) or ENGLISH_ONLY in state.told:
                return state, facts
            return state.noted(ENGLISH_ONLY).but(told=(*state.told, ENGLISH_ONLY)), facts
        tell("Reading what you wrote …")
        help_ = await self.assistant.propose(actor.tenant_id, message, situation_of(state, facts))
        if help_.proposal is None:
            if help_.failed and help_.failed not in state.told:
                state = state.noted(help_.failed).but(told=(*state.told, help_.failed))
            return state, facts
        if len(words(message)) >= FEWEST:
            state = state.but(language=help_.proposal.language)
        return state, replace(facts, proposal=help_.proposal)

    async def speak(self, actor: Actor, state: ConversationState, reply: Reply) -> Reply:
        """The reply in the language of the conversation; in English where that cannot be done exactly."""
        if state.language == "en" or self.assistant is None:
            return reply
        said = await self.assistant.translate(actor.tenant_id, reply.text, state.language, reply.quoted)
        return reply if said is None else replace(reply, text=said)


def situation_of(state: ConversationState, facts: Facts) -> Situation:
    """What a model has to know to read the next message: the open question, and what can be meant."""
    asked = state if state.phase is not Phase.IDLE else ConversationState()
    question = pose(asked.but(notes=(), cards=()), facts).reply
    places = [place.name for found in state.resources.values() for place in found]
    return Situation(
        phase=state.phase.value,
        question=question.text if question else "",
        services=tuple(i.name for i in facts.integrations),
        fields=tuple(field.name for field in state.fields)[:MOST_NAMED],
        places=tuple(places)[:MOST_NAMED],
        known=tuple((label, value) for label, value, _ in summary_rows(state, facts)),
        timezone=facts.timezone,
        now=_plain(facts.now),
    )


def _plain(moment: datetime) -> str:
    return f"{moment:%A %d %B %Y, %H:%M}"
