"""What an answer to each open question does: functions of the state, the message and its stance. Pure."""

from __future__ import annotations

from collections.abc import Callable

from omniforge.builder.answers.change import answer_edit_what, answer_edit_which
from omniforge.builder.answers.complete import answer_agent, answer_idle
from omniforge.builder.answers.discovery import (
    answer_connect,
    answer_key,
    answer_library,
    answer_sample,
    answer_service,
    answer_sign_in,
    answer_unsure,
    answer_wish,
    answer_workspace,
)
from omniforge.builder.answers.parking import answer_park, answer_parked
from omniforge.builder.answers.requirements import (
    answer_address,
    answer_content,
    answer_details,
    answer_offer,
    answer_resources,
    answer_summary,
    answer_values,
)
from omniforge.builder.answers.testing import answer_accept, answer_activate, answer_sample_test, answer_test
from omniforge.builder.exchange import Facts, Turn
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding.stance import Reading

Answer = Callable[[ConversationState, str, Reading, Facts], Turn]

ANSWERS: dict[Pending, Answer] = {
    Pending.NONE: answer_idle,
    Pending.WISH: answer_wish,
    Pending.SERVICE: answer_service,
    Pending.CONNECT: answer_connect,
    Pending.SIGN_IN: answer_sign_in,
    Pending.SAMPLE: answer_sample,
    Pending.WORKSPACE: answer_workspace,
    Pending.UNSURE: answer_unsure,
    Pending.KEY: answer_key,
    Pending.LIBRARY: answer_library,
    Pending.ADDRESS: answer_address,
    Pending.CONTENT: answer_content,
    Pending.VALUES: answer_values,
    Pending.EDIT_WHICH: answer_edit_which,
    Pending.EDIT_WHAT: answer_edit_what,
    Pending.RESOURCES: answer_resources,
    Pending.DETAILS: answer_details,
    Pending.OFFER: answer_offer,
    Pending.SUMMARY: answer_summary,
    Pending.TEST: answer_test,
    Pending.SAMPLE_TEST: answer_sample_test,
    Pending.ACCEPT: answer_accept,
    Pending.ACTIVATE: answer_activate,
    Pending.AGENT: answer_agent,
    Pending.PARK: answer_park,
    Pending.PARKED: answer_parked,
    Pending.UPKEEP: answer_idle,
}
