"""Every sentence the builder says, and how a reply is put together. Plain words; facts come in as arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omniforge.builder.exchange import Facts, Failed, Reply, RunFinished, TestFinished
from omniforge.builder.state import ConversationState, Resource
from omniforge.builder.understanding.cron_words import moment_words, next_times, read_back
from omniforge.builder.understanding.shaping import EDITED, Only, OrderRule
from omniforge.builder.understanding.slots import Problem, Slots
from omniforge.builder.understanding.text import LONGEST_MESSAGE, listed
from omniforge.builder.understanding.windows import window_words

Json = dict[str, Any]
Row = tuple[str, str, str]
"""Label, value in words, origin."""

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
MINUTES_TO_CONNECT = 2
SUGGESTED = {"default": " *(my suggestion)*", "found": " *(found)*"}
FORMATS = {"bullets": "bullets", "table": "a table", "plain": "plain sentences"}

HELLO = (
    "I can take over a report you make again and again: I read your databases, write it up and have it ready when "
    "you need it. Nothing runs before you have seen it and said yes."
)
WISH = "What would you like to have done for you? For example: *a weekly report of what changed in our Notion projects*."
OFFER_REPORT = "Shall I write you a regular report of what changes in {title}? I'd say yes; or tell me what it should do."
SERVICE = "Where do the things for the report live? I can read {titles}. I'd take {first}: is that right?"
TOO_LONG = (
    f"That is longer than I can read at once (at most {LONGEST_MESSAGE:,} characters). Please say it shorter; "
    "nothing of what we have is lost."
)
PAUSED = "All right, we stop here for now. Everything is kept; just write when you want to go on."
CANCELLED = "I've stopped here, and nothing is running. {draft}Write any time to begin again."
NOT_UNDERSTOOD = "I'm not sure what you mean by that, so I changed nothing."
NO_YES = "I'd rather not guess whether that was a yes."
STARTED_OVER = "We start over. {draft}"
NO_SHARE = "I can't {what} agents yet. What I can do now: build, change, test, switch on and run your own."
EVENTS = (
    "I can't react to single changes yet. The nearest I can do is look at fixed times, for example *every weekday at "
    "9:00*, or whenever you ask."
)


def counted(n: int, noun: str) -> str:
    return f"{NUMBERS[n] if n < len(NUMBERS) else n} {noun}{'' if n == 1 else 's'}"


def make_reply(
    state: ConversationState,
    parts: Sequence[str],
    *,
    actions: Sequence[str] = (),
    cards: Sequence[Json] = (),
    quoted: Sequence[str] = (),
    oauth_url: str | None = None,
) -> Reply:
    """Notes that waited come first. Names from services are exempt from the check of words."""
    names = (
        [r.name for r in state.resources] + [f.name for f in state.fields] + [i.name for i in state.last_list]
    )
    options = [o for f in state.fields for o in f.options]
    own = [state.workspace or "", state.draft_name or "", state.slots.name or "", state.oauth_url or ""]
    text = "\n\n".join(part for part in (*state.notes, *parts) if part)
    return Reply(
        text,
        state.phase.value,
        tuple(actions[:4]),
        oauth_url,
        tuple(cards),
        (*names, *options, *own, *state.quoted, *quoted),
    )


# --- what is known --------------------------------------------------------------------------------


def order_words(rules: Sequence[OrderRule]) -> str:
    return ", then ".join(_order_rule(rule) for rule in rules)


def _order_rule(rule: OrderRule) -> str:
    if rule.field == EDITED:
        return "latest change first" if rule.descending else "oldest change first"
    if rule.first:
        return (
            f"{', '.join(rule.first)} first"
            if len(rule.first) == 1
            else f"{rule.field}: {', '.join(rule.first)}"
        )
    if rule.last:
        return f"{', '.join(rule.last)} last"
    if rule.filled:
        return f"entries with something in {rule.field} first"
    return f"by {rule.field}{', highest first' if rule.descending else ''}"


def only_words(rules: Sequence[Only]) -> str:
    return ", ".join(f"{'only' if r.keep else 'without'} {r.field} {listed(r.values, 'or')}" for r in rules)


def zone_of(state: ConversationState, facts: Facts) -> str:
    plan = state.slots.schedule
    return (plan.timezone if plan else None) or facts.timezone


def when_words(slots: Slots, zone: str) -> str:
    plan = slots.schedule
    if plan is None or plan.event == "on_demand":
        return "whenever you ask"
    notes = f" — {'; '.join(plan.notes)}" if plan.notes and plan.origin == "derived" else ""
    return f"{read_back(plan.cron, zone)}{notes}"


def rows_of(slots: Slots, zone: str, name: str | None) -> list[Row]:
    """The agent in words, one row per slot that is filled."""
    origin = slots.origins
    rows: list[Row] = []
    if slots.sources:
        rows.append(("Reads", listed(s.name for s in slots.sources), origin.get("sources", "said")))
    if slots.window:
        rows.append(("Time covered", window_words(slots.window), origin.get("window", "said")))
    if slots.fields:
        rows.append(("Information", ", ".join(slots.fields), origin.get("fields", "said")))
    if slots.only:
        rows.append(("Entries", only_words(slots.only), origin.get("only", "said")))
    if slots.format:
        rows.append(("Format", FORMATS[slots.format], origin.get("format", "said")))
    if slots.group:
        rows.append(("Grouped by", slots.group, origin.get("group", "said")))
    if slots.order:
        rows.append(("Order", order_words(slots.order), origin.get("order", "said")))
    if slots.schedule:
        rows.append(
            ("When", when_words(slots, zone), slots.schedule.origin if slots.said("schedule") else "default")
        )
    if slots.destination:
        rows.append(("Goes to", "your inbox here", origin.get("destination", "default")))
    if name:
        rows.append(("Name", name, origin.get("name", "derived")))
    return rows


def bullets(rows: Sequence[Row]) -> str:
    return "\n".join(f"- **{label}:** {value}{SUGGESTED.get(origin, '')}" for label, value, origin in rows)


def summary_card(rows: Sequence[Row], title: str = "What I understood") -> Json:
    return {
        "type": "summary",
        "title": title,
        "rows": [{"label": a, "value": b, "origin": c} for a, b, c in rows],
    }


def next_words(slots: Slots, zone: str, facts: Facts) -> str:
    """The next two times of a plan, in words."""
    plan = slots.schedule
    if plan is None or plan.event != "scheduled":
        return ""
    times = [moment_words(moment, zone) for moment in next_times(plan.cron, zone, facts.now)]
    assumed = (
        ""
        if plan.timezone or facts.zone_known
        else " I don't know your time zone, so I took this one; a city is enough to change it."
    )
    return f"The next two times would be {listed(times)}.{assumed}"


# --- questions ------------------------------------------------------------------------------------


def connect_question(title: str) -> str:
    return (
        f"That is something I can take over for you. First {title} must be connected once; that takes about "
        f"{MINUTES_TO_CONNECT} minutes. Shall we connect {title} now? (I'd say yes.)"
    )


def sign_in_text(title: str, asks: Sequence[str], url: str, again: bool) -> str:
    lines = (
        "\n".join(f"- {ask}" for ask in asks)
        or f"- {title} asks which pages and databases I may see. Only what you pick there can be read."
    )
    opening = f"Here is the address to sign in to {title}" + (" again:" if again else ":")
    return f"{opening} [Connect {title}]({url})\n\nThis is what the {title} screen asks, and why:\n\n{lines}\n\nSay *done* when you are through; I'll check it."


def nothing_arrived(title: str) -> str:
    return f"Nothing has arrived from {title} yet, so it isn't connected. Open the address, choose what to share and allow access; then tell me."


def connected_text(title: str, workspace: str | None, resources: Sequence[Resource], sample: bool) -> str:
    if sample:
        return f"We go on with **sample data**, not with your {title}. These are the sample databases: {counts(resources)}."
    return f"{title} is connected: workspace **{workspace}**. I can see {counted(len(resources), 'database')}: {counts(resources)}."


def nothing_shared(title: str, workspace: str | None) -> str:
    return f"{title} is connected (workspace **{workspace}**), but no database is shared with me. Share one there, then say *yes*."


SAMPLE_QUESTION = "Without {title} I can build and test it with sample data, and you connect {title} later. Shall we do that? (I'd say yes.)"
SAMPLE_TEST = "Shall I show it with sample data instead? (I'd say yes.) Or name another time, for example *last 30 days*."
ANYTHING_ELSE = (
    "What else can I do for you? You can say what to change, *run it*, *status*, or describe something new."
)


def counts(resources: Sequence[Resource]) -> str:
    return ", ".join(r.name if r.items is None else f"{r.name} {r.items:,}" for r in resources)


def workspaces(title: str, first: str) -> str:
    return f"{title} is connected with several workspaces. Which one? I'd take {first}."


def choices(items: Sequence[str]) -> str:
    return "\n".join(f"- **{chr(65 + i)}** {item}" for i, item in enumerate(items[:26]))


def resources_question(default: Sequence[str]) -> str:
    return f"Which of them shall I use? You can say *the first two*, *all*, or names. I'd take {listed(default)}."


def details_questions(
    open_slots: Sequence[str], fields: Sequence[str], default_fields: Sequence[str], when: str, again: bool
) -> str:
    asked = {
        "fields": f"**Which information** shall be in the report? There is: {', '.join(fields)}. I'd take {listed(default_fields)}.",
        "format": "**Which format:** bullets, a table or plain sentences? I'd take bullets. Say *by …* if you want groups.",
        "schedule": f"**When** shall it be ready? I'd take {when}.",
    }
    lines = "\n".join(f"{n}. {asked[slot]}" for n, slot in enumerate(open_slots, 1))
    closing = (
        "For example: *status and owner, as bullets, every Monday at 8:30*. Or say *you choose*."
        if again or len(open_slots) > 1
        else "Or say *you choose*."
    )
    return f"{lines}\n\n{closing}"


def summary_question(revised: bool) -> str:
    return (
        "Shall I create it like this?"
        if revised
        else "Is that right? With a yes I create it; nothing runs before you have tested it and switched it on."
    )


def created_text(name: str, zone_words: str) -> str:
    return f"**{name}** is created as a draft ({zone_words}). It is not switched on."


def test_question(slots: Slots, sample: bool) -> str:
    data = "on sample data" if sample else f"on {_span(slots)}"
    return f"Shall I test it {data} now? It only reads, changes nothing, and shows you the report. (I'd say yes.)"


def _span(slots: Slots) -> str:
    span = window_words(slots.window or "last_week").replace(" (Monday to Sunday)", "")
    return (
        f"{span.removesuffix(' so far')}'s data"
        if span in ("last week", "last month", "yesterday")
        else f"data of {span}"
    )


def test_declined() -> str:
    return "No test then, for now. Before it can be switched on it needs one test that went well. Say *test it* whenever you like."


def effect_words(test: TestFinished, title: str) -> str:
    """What the test did and what would happen, from what was observed only."""
    reads = f"reads {counted(len(test.read), f'{title} database')}" if test.read else "reads nothing"
    outward = [effect.summary for effect in test.effects if effect.access in ("write", "send")]
    writes = "writes nothing" if not outward else f"would do this outside: {'; '.join(outward)}"
    return f"{reads}; {writes}; puts the report in your inbox here"


def test_text(test: TestFinished, title: str) -> str:
    if test.verdict == "passed":
        sample = " with **sample data**, not your own" if test.sample_data else ""
        shown = test.report.strip()
        return f"Here is the report from the test{sample}:\n\n---\n\n{shown}\n\n---\n\n**What it does:** {effect_words(test, title)}. In this test nothing was changed or sent."
    if test.verdict == "no_effect":
        places = listed(test.read) or "the databases"
        return f"The test ran, but there was nothing to report: I looked at {places} and found no entries for that time. Nothing was changed or sent."
    if test.verdict == "not_simulated":
        return "Part of this could not be tried out, so the test doesn't count. Nothing was changed or sent."
    return f"The test did not work. {test.problem or 'A step stopped unexpectedly.'} Nothing was changed or sent."


def accept_question() -> str:
    return "Does it look right? Tell me what to change, for example *put … first*, or say *looks good*."


def activation_text(name: str, effects: Sequence[str], when: str, times: str) -> str:
    lines = "\n".join(f"- {effect}" for effect in effects)
    return f"From now on **{name}** would run {when}. Each time it\n\n{lines}\n\n{times}".strip()


def activate_question(active: bool) -> str:
    if active:
        return "Shall I switch the changed one on? (Until you say yes the old one goes on as it is.)"
    return "Shall I switch it on? (Until you say yes it stays a draft.)"


def activated_text(name: str, next_run: str | None, run_phrase: str) -> str:
    when = f"The next run is on {next_run}." if next_run else "It runs whenever you ask for it."
    return f"**{name}** is switched on. {when} The report lands in your inbox here. *{run_phrase}* works any time."


def not_now_text(name: str, active: bool) -> str:
    if active:
        return f"All right: **{name}** goes on as it was; the change is kept, but not switched on."
    return f"All right: **{name}** stays a draft and does not run. Say *switch it on* when you want it."


def run_text(run: RunFinished) -> str:
    steps = "\n".join(f"- {name}: {status}" for name, status in run.steps)
    shown = run.text.strip()
    match run.status:
        case "completed":
            return f"**{run.name}** has run.\n\n{steps}\n\n{shown}".replace("\n\n\n\n", "\n\n")
        case "no_effect":
            return f"**{run.name}** ran, and there was nothing to do.\n\n{shown}".strip()
        case _:
            return f"**{run.name}** did not finish ({run.status}). {run.problem or ''} Say *run it* to try again.\n\n{steps}".strip()


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


def side_answer(side: str, title: str, rows: Sequence[Row], facts: Facts, zone: str) -> str:
    match side:
        case "safe":
            return (
                f"I see only what you choose to share on the {title} screen, and only you see the results. A test changes "
                "nothing, and an agent may do only what you approved before it was switched on. You can disconnect any time."
            )
        case "works":
            return (
                "Before anything is switched on we test it: I read your real data, show you the report, and change "
                "nothing. Afterwards each run tells in your inbox what happened, also when something went wrong."
            )
        case "so_far":
            return f"This is what I have so far:\n\n{bullets(rows)}" if rows else "Nothing is decided yet."
        case "how_long":
            return f"Connecting takes about {MINUTES_TO_CONNECT} minutes, the questions a few more. A test takes a moment."
        case "zone":
            return f"I count in {zone}. A city is enough to change it."
        case "help":
            return f"{HELLO} You can say *run* and an agent's name, *status*, *go back*, *start over* or *cancel* at any time."
        case _:
            return ""


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
