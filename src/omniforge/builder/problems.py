"""What went wrong or cannot be used, in plain words with a next step."""

from __future__ import annotations

from omniforge.builder.exchange import Failed
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.slots import Problem
from omniforge.builder.understanding.text import listed
from omniforge.builder.wording import NOT_UNDERSTOOD

EVENTS = (
    "I can't react to single changes yet. The nearest I can do is look at fixed times, for example *every weekday at "
    "9:00*, or whenever you ask."
)


def problem_words(problem: Problem, state: ConversationState, title: str) -> str:
    """What was said and cannot be used, with the nearest thing that can."""
    near = f" The nearest: {listed(problem.near, 'or')}." if problem.near else ""
    match problem.kind:
        case "field":
            known = ", ".join(f.name for f in state.fields if f.type != "title")
            return f"I can't find '{problem.phrase}' in what you chose.{near or f' There is: {known}.'}"
        case "group":
            return f"I can't group by '{problem.phrase}'.{near}"
        case "order":
            return f"I don't know what '{problem.phrase}' means for the order.{near} You can say *sort by* and a field, or a value and *first*."
        case "format":
            return f"I can't make '{problem.phrase}' yet. What I can do: bullets, a table or plain sentences."
        case "service" if "source" in problem.near:
            return f"I can't read from {problem.phrase} yet. What I can read is {title}."
        case "service":
            return f"I can't send to {problem.phrase} yet. The report goes to your inbox here; that is the nearest I can do."
        case "event":
            return EVENTS
        case _:
            return problem.unclear.question if problem.unclear else NOT_UNDERSTOOD


FAILURES: dict[str, str] = {
    "integration_not_configured": "{title} isn't set up in this installation yet. Your administrator can do it; meanwhile I can build and test with sample data.",
    "connection_missing": "This needs your {title}. Connect it now? It takes about two minutes.",
    "connection_expired": "{title} signed us out. Reconnect and I'll carry on where I stopped.",
    "connection_declined": "You chose not to allow access. We can try again, or go on with sample data.",
    "state_invalid": "The sign-in link has expired. Let's start again.",
    "resource_not_found": "I can't find one of the databases any more. Was it renamed, or is it no longer shared with me? Pick another?",
    "permission_denied_there": "{title} doesn't let me read that. Share it with me there, then say *try again*.",
    "rate_limited_there": "{title} asks me to slow down. Say *try again* in a minute.",
    "service_down": "{title} isn't answering. Nothing was changed. Say *try again* in a while.",
    "not_tested": "Before it goes live I'd like to test it. It takes a moment and changes nothing.",
    "manifest_not_approved": "Before it goes live I'd like to test it. It takes a moment and changes nothing.",
    "not_active": "This agent is not switched on. Switch it on?",
    "skill_invalid": "A step of the agent is missing or damaged. I can write it again.",
    "script_failed": "The step that reads {title} stopped unexpectedly. Nothing was sent. I kept the details for whoever helps you.",
    "bad_output": "The step that reads {title} stopped unexpectedly. Nothing was sent. I kept the details for whoever helps you.",
    "step_timeout": "Reading {title} took too long, so I stopped it.",
    "quota": "Today's limit is used up. It goes on tomorrow, or ask your administrator to raise it.",
    "budget_exceeded": "Today's limit is used up. It goes on tomorrow, or ask your administrator to raise it.",
    "forbidden": "You can look at this, but not change it. An owner or admin can.",
    "not_found": "I can't find that.",
    "version_conflict": "Somebody changed this agent a moment ago. Say *try again* to put yours on top.",
    "sandbox_unavailable": "The safe place to run this isn't available on this computer. 'omniforge doctor' shows what to install.",
}


def failure_text(failed: Failed, title: str) -> str:
    return FAILURES.get(
        failed.code,
        "That did not work, and nothing was changed. Say *try again*, or tell me what to do instead.",
    ).format(title=title)
