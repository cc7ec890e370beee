"""What went wrong or cannot be used, in plain words with a next step."""

from __future__ import annotations

from omniforge.builder.exchange import Failed
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.slots import Problem
from omniforge.builder.understanding.text import listed
from omniforge.builder.wording import NOT_UNDERSTOOD


def problem_words(problem: Problem, state: ConversationState, title: str) -> str:
    """What was said and cannot be used, with the nearest thing that can."""
    near = f" The nearest: {listed(problem.near, 'or')}." if problem.near else ""
    match problem.kind:
        case "field":
            known = ", ".join(f.name for f in state.fields if f.type != "title")
            return f"I can't find '{problem.phrase}' in what you chose.{near or f' There is: {known}.'}"
        case "filter":
            return f"I can't tell which entries are '{problem.phrase}' there, so I leave that out.{near}{_try(near)}"
        case "group":
            return f"I can't group by '{problem.phrase}'.{near}"
        case "order":
            return f"I don't know what '{problem.phrase}' means for the order.{near} You can say *sort by* and a field, or a value and *first*."
        case "format":
            return f"I can't make '{problem.phrase}' yet. What I can do: bullets, a table or plain sentences."
        case "service" if "source" in problem.near or state.outline.starts is not None:
            return f"I can't read {problem.phrase} here.{_instead(state, title)}"
        case "service":
            return f"I can't send to {problem.phrase} yet. The result goes to your inbox here; that is the nearest I can do."
        case _:
            return problem.unclear.question if problem.unclear else NOT_UNDERSTOOD


def _try(near: str) -> str:
    return "" if near else " You can name a value of a field instead, or words that stand in the entry."


def _instead(state: ConversationState, title: str) -> str:
    """The nearest thing to a service that nobody can reach: a link that stands in the entries themselves."""
    if links := link_fields(state):
        return f" I can put what stands in {listed(links)} of the entry there instead; say *add {links[0]}*."
    return f" What I can read is {title}."


def link_fields(state: ConversationState) -> list[str]:
    """Fields that hold an address."""
    return [field.name for field in state.fields if field.type in ("url", "link")]


FAILURES: dict[str, str] = {
    "integration_not_configured": "{title} isn't set up in this installation yet. Your administrator can do it; meanwhile I can build and test with sample data.",
    "connection_missing": "This needs your {title}. Connect it now? It takes about two minutes.",
    "connection_expired": "{title} signed us out. Reconnect and I'll carry on where I stopped.",
    "connection_declined": "You chose not to allow access. We can try again, or go on with sample data.",
    "state_invalid": "The sign-in link has expired. Let's start again.",
    "resource_not_found": "I can't find one of the places any more. Was it renamed, or is it no longer shared with me? Pick another?",
    "permission_denied_there": "{title} doesn't let me do that. Share it with me or invite me there, then say *try again*.",
    "rate_limited_there": "{title} asks me to slow down. Say *try again* in a minute.",
    "service_down": "{title} isn't answering. Nothing was changed. Say *try again* in a while.",
    "not_tested": "Before it goes live I'd like to test it. It takes a moment and changes nothing.",
    "manifest_not_approved": "Before it goes live I'd like to test it. It takes a moment and changes nothing.",
    "no_example": "There is no entry yet that I could test with. Add one there, or test it on sample data.",
    "test_under_way": "The test is still running. Say the same again in a minute, and I tell you what came out.",
    "key_needed": "{title} is connected by typing in its data under *Connections*, not here.",
    "effects_not_confirmed": "Before anything real happens I test it without effects. Say *test it*.",
    "model_not_configured": "This step needs a language model, and none is set up here. I can leave it out.",
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


UNFIT: dict[str, str] = {
    "condition_unclear": "I'm not sure when *{step}* is to be done. For example: *only if the total is above 100*.",
    "place_missing": "Where *{step}* is done is still open. Name the place.",
    "nothing_to_change": "Nothing before *{step}* finds an entry that could be meant.",
    "not_supported": "I can't do *{step}* at that service yet. Name another one, or leave it out.",
}


def unfit_words(code: str, keys: list[str], state: ConversationState) -> str:
    """Why something understood cannot be built, naming the step as the person said it."""
    part = next((found for key in keys if (found := state.outline.part(key))), None)
    step = part.words or part.key.replace("-", " ") if part is not None else "one of the steps"
    return UNFIT.get(code, "Something needed for *{step}* is still open. Say it in other words.").format(
        step=step
    )
