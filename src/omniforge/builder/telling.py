"""What is said of agents that were written, tested, switched on and run: only what was observed."""

# ruff: noqa: E501 - what is said stands on one line

from __future__ import annotations

import re
from collections.abc import Sequence

from omniforge.builder.exchange import RunFinished, TestFinished
from omniforge.builder.generation.services import TITLES
from omniforge.builder.inputs import works_on_input
from omniforge.builder.outline import Brief, Report
from omniforge.builder.rows import does_words
from omniforge.builder.state import ConversationState, Resource, TestSeen
from omniforge.builder.understanding.text import listed
from omniforge.builder.understanding.windows import window_words
from omniforge.builder.wording import counted, plural

STATUS_WORDS = {"succeeded": "done", "skipped": "left out", "failed": "did not work"}
MOST_FAULTS = 4


def created_text(name: str, zone_words: str) -> str:
    return f"**{name}** is created as a draft ({zone_words}). It is not switched on."


def reused_text(title: str, workspace: str | None, since: str, resources: Sequence[Resource]) -> str:
    kind = resources[0].kind if resources else "place"
    seen = counted(len(resources), kind, plural(kind))
    return (
        f"{title} is connected already: workspace **{workspace}**, since {since}. I use it; I can see {seen}."
    )


def put_aside(state: ConversationState) -> str:
    if not state.parked:
        return ""
    return f"Put aside: {listed(f'**{one.title}**' for one in state.parked)}. Say *go on with* and its name."


def does_now(name: str, steps: str) -> str:
    return f"**{name}** does this now:\n\n{steps}"


def changed_text(rows: Sequence[tuple[str, str, str]]) -> str:
    """Before and after of what changes; what stays is named as unchanged."""
    lines = "\n".join(
        f"- **{label}:** {before} → {after}" for label, before, after in rows if before != after
    )
    same = [label for label, before, after in rows if before == after]
    kept = f"\n\nUnchanged: {', '.join(same)}." if same else ""
    return f"This changes (before → after), everything else is as it was:\n\n{lines}{kept}"


def test_question(state: ConversationState) -> str:
    if state.example is not None:
        return "Shall I test it on what you gave me? Nothing is changed or sent; I show you what comes out. (I'd say yes.)"
    if works_on_documents(state):
        return (
            "Shall I test it now, on sample data? Nothing is changed or sent. You can also give me something of yours: "
            "*test it on this:* and then lines such as *total: 90*. (I'd say yes.)"
        )
    report = next((part.does for part in state.outline.parts if isinstance(part.does, Report)), None)
    if report is None:
        return "Shall I test it now? Nothing is changed or sent; I show you what would happen. (I'd say yes.)"
    data = "on sample data" if state.sample else f"on {_span(report.window)}"
    if report.window == "all" and not state.sample:
        data = "on what is there"
    return f"Shall I test it {data} now? It only reads, changes nothing, and shows you the report. (I'd say yes.)"


def works_on_documents(state: ConversationState) -> bool:
    return works_on_input(state.outline)


def _span(window: str | None) -> str:
    span = window_words(window or "last_week").replace(" (Monday to Sunday)", "")
    return (
        f"{span.removesuffix(' so far')}'s data"
        if span in ("last week", "last month", "yesterday")
        else f"data of {span}"
    )


def test_declined() -> str:
    return "No test then, for now. Before it can be switched on it needs one test that went well. Say *test it* whenever you like."


def test_text(test: TestFinished, state: ConversationState, title: str) -> str:
    if test.verdict == "passed":
        given = works_on_documents(state) and state.example is not None
        if given and not (test.sample_data and state.outline.services):
            data = " on what you gave me"
        else:
            sample = test.sample_data or works_on_documents(state)
            data = " with **sample data**, not your own" if sample else ""
        shown = test.report.strip() or "(nothing is written, as it only does something outside)"
        what = result_word(state)
        done = (
            "This was done for real." if test.mode == "live" else "In this test nothing was changed or sent."
        )
        return (
            f"Here is the {what} from the test{data}:\n\n---\n\n{shown}\n\n---\n\n"
            f"{steps_text(test.steps, state)}**What it does:** {effect_words(test, state, title)}. {done}"
        )
    if test.verdict == "no_effect":
        places = listed(test.read) or "the places it reads"
        chosen = any(isinstance(part.does, Report) and part.does.only for part in state.outline.parts)
        none = "none of the entries you want" if chosen else "no entries for that time"
        data = "the sample data of " if test.sample_data or state.sample else ""
        if test.idle and test.mode == "dry":
            looked = f"looked at the sample data of {places}" if test.read else "tried it on sample data"
            return (
                f"Nothing matched in the sample: I {looked}, and there was nothing to do. Every step was tried all "
                f"the same, and this is what it does when something matches: {effect_words(test, state, title)}. "
                "In this test nothing was changed or sent."
            )
        return f"The test ran, but there was nothing to report: I looked at {data}{places} and found {none}. Nothing was changed or sent."
    if test.verdict == "not_simulated":
        return "Part of this could not be tried out, so the test doesn't count. Nothing was changed or sent."
    return f"The test did not work. {test.problem or 'A step stopped unexpectedly.'} Nothing was changed or sent."


def result_word(state: ConversationState) -> str:
    if any(isinstance(part.does, Brief) for part in state.outline.parts):
        return "briefing"
    return "report" if any(isinstance(part.does, Report) for part in state.outline.parts) else "result"


def steps_text(steps: Sequence[tuple[str, str]], state: ConversationState) -> str:
    """Which steps ran, when there are several, each as the summary has it."""
    if len(steps) < 2:
        return ""
    does = {part.key: does_words(state.design, part, TITLES) for part in state.outline.parts}
    lines = "\n".join(
        f"- {does.get(name, name)}: {STATUS_WORDS.get(status, status)}" for name, status in steps
    )
    return f"**Steps:**\n\n{lines}\n\n"


def effect_words(test: TestFinished, state: ConversationState, title: str) -> str:
    return "; ".join(effect_lines(test, state, title))


def effect_lines(test: TestFinished, state: ConversationState, title: str) -> list[str]:
    """What the test did and what would happen, from what was observed only."""
    kinds = {r.name: r.kind for found in state.resources.values() for r in found}
    kind = next((kinds[name] for name in test.read if name in kinds), "database")
    counted_places = counted(len(test.read), f"{title} {kind}", f"{title} {plural(kind)}")
    about = (
        "reads the new entry" if state.outline.starts is not None else "" if test.effects else "reads nothing"
    )
    reads = [f"reads {counted_places}"] if test.read else [about] if about else []
    outward = [effect.summary for effect in test.effects if effect.access in ("write", "send")]
    return [*reads, *(outward or ["writes nothing"]), f"puts the {result_word(state)} in your inbox here"]


def accept_question(active: bool) -> str:
    if active:
        return "Does it look right? Tell me what to change, or say *looks good* and I show you what is saved."
    return "Does it look right? Tell me what to change, for example *put … first*, or say *looks good*."


def real_test_text(seen: TestSeen | None) -> str:
    """What B would do, for the question that has to be answered with B before it is done."""
    effects = "; ".join(seen.effects) if seen else ""
    return f"A real test does what it will do later, once and for real: {effects}." if effects else ""


def faults_text(faults: Sequence[str]) -> str:
    if not faults:
        return ""
    told = [re.sub(r" \(\d{3}\)", "", line) for line in faults]
    lines = "\n".join(f"- {line}" for line in told[:MOST_FAULTS])
    more = f"\n- {len(told) - MOST_FAULTS} more cases, which end no worse" if len(told) > MOST_FAULTS else ""
    return f"If something goes wrong on the way (I tried it):\n\n{lines}{more}"


def others_text(others: int, copies: int) -> str:
    """Who else is touched by a change, and who is not."""
    told: list[str] = []
    if others:
        use = "other person uses" if others == 1 else "other people use"
        told.append(f"{say_number(others)} {use} this agent; from then on they get the changed one.")
    if copies:
        have = "person has" if copies == 1 else "people have"
        told.append(f"{say_number(copies)} {have} a copy of their own, which stays as it is.")
    return " ".join(told)


def say_number(n: int) -> str:
    return counted(n, "").strip().capitalize()


def activation_text(name: str, effects: Sequence[str], when: str, times: str) -> str:
    lines = "\n".join(f"- {effect}" for effect in effects)
    return f"From now on **{name}** would run {when}. Each time it\n\n{lines}\n\n{times}".strip()


def activate_question(active: bool) -> str:
    if active:
        return "Save it? Until you say yes the old one goes on as it is."
    return "Shall I switch it on? (Until you say yes it stays a draft.)"


def activated_text(  # noqa: PLR0917 - the facts of one sentence
    name: str, next_run: str | None, minutes: int | None, by_event: bool, run_phrase: str, what: str
) -> str:
    if by_event and minutes:
        when = (
            f"It is checked every {minutes} minutes; the {what} is ready within 5 minutes after that. What is there "
            "already does not start it."
        )
    elif by_event:
        when = "It starts as soon as it happens. What is there already does not start it."
    else:
        when = f"The next run is on {next_run}." if next_run else "It runs whenever you ask for it."
    return f"**{name}** is switched on. {when} The {what} lands in your inbox here. *{run_phrase}* works any time."


def saved_text(name: str, version: int, next_run: str | None) -> str:
    when = f" The next run is on {next_run}." if next_run else ""
    return f"Saved: **{name}** is now version {version}, and switched on.{when}"


def not_now_text(name: str, active: bool) -> str:
    if active:
        return f"All right: **{name}** goes on as it was; the change is kept, but not switched on."
    return f"All right: **{name}** stays a draft and does not run. Say *switch it on* when you want it."


def run_text(run: RunFinished) -> str:
    steps = "\n".join(f"- {name}: {STATUS_WORDS.get(status, status)}" for name, status in run.steps)
    shown = run.text.strip()
    match run.status:
        case "completed":
            return f"**{run.name}** has run.\n\n{steps}\n\n{shown}".replace("\n\n\n\n", "\n\n")
        case "partial":
            told = f"**{run.name}** has run, and something needs somebody to look at it. {run.problem or ''}".strip()
            return f"{told}\n\n{steps}\n\n{shown}".strip()
        case "no_effect":
            return f"**{run.name}** ran, and there was nothing to do.\n\n{shown}".strip()
        case _:
            return f"**{run.name}** did not finish ({run.status}). {run.problem or ''} Say *run it* to try again.\n\n{steps}".strip()
