"""Every sentence the builder says, in plain words; facts come in as arguments."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.builder.exchange import Facts, RunFinished, TestFinished
from omniforge.builder.rows import Row, bullets
from omniforge.builder.state import Resource
from omniforge.builder.understanding.slots import Slots
from omniforge.builder.understanding.text import LONGEST_MESSAGE, listed
from omniforge.builder.understanding.windows import window_words

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

MINUTES_TO_CONNECT = 2

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

DETAILS_EXAMPLE = "For example: *status and owner, as bullets, every Monday at 8:30*."
WHAT_TO_CHANGE = "What shall I change? For example: *add the owner*, *make it a table*, *Tuesdays at 10*."
NO_YES = "I'd rather not guess whether that was a yes."

STARTED_OVER = "We start over. {draft}"

NO_SHARE = "I can't {what} agents yet. What I can do now: build, change, test, switch on and run your own."

SAMPLE_QUESTION = "Without {title} I can build and test it with sample data, and you connect {title} later. Shall we do that? (I'd say yes.)"

SAMPLE_TEST = "Shall I show it with sample data instead? (I'd say yes.) Or name another time, for example *last 30 days*."

ANYTHING_ELSE = (
    "What else can I do for you? You can say what to change, *run it*, *status*, or describe something new."
)


def counted(n: int, noun: str) -> str:
    return f"{NUMBERS[n] if n < len(NUMBERS) else n} {noun}{'' if n == 1 else 's'}"


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
        f"{DETAILS_EXAMPLE} Or say *you choose*." if again or len(open_slots) > 1 else "Or say *you choose*."
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


def effect_words(test: TestFinished, title: str) -> str:
    """What the test did and what would happen, from what was observed only."""
    reads = f"reads {counted(len(test.read), f'{title} database')}" if test.read else "reads nothing"
    outward = [effect.summary for effect in test.effects if effect.access in ("write", "send")]
    writes = "writes nothing" if not outward else f"would do this outside: {'; '.join(outward)}"
    return f"{reads}; {writes}; puts the report in your inbox here"


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
