"""Every sentence the builder says, in plain words; facts come in as arguments."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.builder.exchange import Facts
from omniforge.builder.outline import Content
from omniforge.builder.phases import Phase
from omniforge.builder.rows import Row, bullets
from omniforge.builder.state import Resource
from omniforge.builder.understanding.text import LONGEST_MESSAGE, listed

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


MINUTES_TO_CONNECT = 2
MOST_SHOWN = 20

HELLO = (
    "I can take over work you do again and again: reading what is in your services, writing it up, posting it, "
    "filling and checking forms, at fixed times or as soon as something happens. Nothing runs before you have seen "
    "it and said yes."
)

WISH = "What would you like to have done for you? For example: *a weekly report of what changed in our Notion projects*."

OFFER_REPORT = "Shall I write you a regular report of what changes in {title}? I'd say yes; or tell me what it should do."

SERVICE = "Where do the things for the report live? I can read {titles}. I'd take {first}: is that right?"

STARTS = "Where is it tracked? I can watch {titles}. I'd take {first}: is that right?"

WHERE = "Where shall I {what}? I can do it in {titles}. I'd take {first}."

WEB_ADDRESS = "Which address shall I read? Paste the whole of it, for example *https://example.com/news*."

MAIL_ADDRESS = "To which address shall it go? For example *team@example.com*."

EVENT_TEST = (
    "How will you know that it works? Two ways:\n\n- **A** a test on the latest entry, which changes and sends "
    "nothing\n- **B** a real test, which does everything for real\n\nI'd take A."
)

EDIT_WHAT = (
    "What shall I change about **{name}**? For example: *also post a summary to Slack*, *Tuesdays at 10*."
)

PARK = (
    "We are still building **{title}**, and I do one at a time. Shall I put it aside and begin the new one? "
    "(I'd say no: first finish this one.)"
)

PARKED = "I put **{title}** aside; say *go on with* and its name to take it up again."

RETURN_TO = "This was put aside. Shall we go on with one of them?"

CONTENT_OPTIONS = (
    (Content.FULL.value, "Everything"),
    (Content.SUMMARY.value, "A summary"),
    (Content.SUMMARY_AND_LINK.value, "A summary with a link to the whole"),
)

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

NO_PUBLISH = (
    "Offering agents to customers under a brand of your own isn't possible here yet. What I can do now: build, change, "
    "test, switch on, run and share agents with your colleagues."
)

SAMPLE_QUESTION = "Without {title} I can build and test it with sample data, and you connect {title} later. Shall we do that? (I'd say yes.)"

SAMPLE_TEST = "Shall I show it with sample data instead? (I'd say yes.) Or name another time, for example *last 30 days*."

ACCEPT_IDLE = "Shall it stay like that? Say *yes* to go on, or what to change, for example another time or other entries."

OTHER_TIME = (
    "Shall it cover another time, or other entries? For example *last 30 days*. I'd take the last 30 days."
)

ANYTHING_ELSE = (
    "What else can I do for you? You can say what to change, *run it*, *status*, or describe something new."
)


def counted(n: int, noun: str, several: str = "") -> str:
    return f"{NUMBERS[n] if n < len(NUMBERS) else n} {noun if n == 1 else several or noun + 's'}"


def step_of(phase: Phase) -> str:
    """Where we are on the way to an agent that works."""
    steps = {
        Phase.DISCOVERY: 1,
        Phase.OAUTH_FLOW: 2,
        Phase.REQUIREMENTS: 3,
        Phase.GENERATION: 3,
        Phase.TESTING: 4,
        Phase.ACTIVATION: 5,
    }
    return f"*(step {steps[phase]} of 5)*" if phase in steps else ""


def unsure_question(words: str) -> str:
    return (
        f"I'm not sure what to do with this part: *{words}*. Say it in other words, for example *post it to #team*, or "
        "*leave it out*. I'd leave it out."
    )


def connect_question(title: str, first: bool) -> str:
    if not first:
        return (
            f"For that, {title} must be connected once; that takes about {MINUTES_TO_CONNECT} minutes. "
            f"Shall we connect {title} now? (I'd say yes.)"
        )
    return (
        f"That is something I can take over for you. First {title} must be connected once; that takes about "
        f"{MINUTES_TO_CONNECT} minutes. Shall we connect {title} now? (I'd say yes.)"
    )


def key_question(title: str) -> str:
    return (
        f"{title} is connected by typing in its data, and secrets don't belong in a conversation: open *Connections*, "
        f"choose {title} and fill it in there. Say *done* when you are through, or *sample data* to go on without it."
    )


def library_question(step: str, title: str, author: str, used: int) -> str:
    whose = f" by {author}" if author else ""
    often = f"used by {counted(used, 'agent')}" if used else "not used by an agent yet"
    return (
        f"For this step there is something already: *{step}*.\n\n- **A** use the public skill **{title}**{whose}, "
        f"{often}\n- **B** make one of your own\n\nI'd take A."
    )


def place_question(purpose: str, kind: str, default: Sequence[str]) -> str:
    taken = f" I'd take {default[0]}." if default else ""
    return f"Which {kind} {purpose}?{taken}"


def content_question(where: str, said: Content) -> str:
    letter = chr(65 + [key for key, _ in CONTENT_OPTIONS].index(said.value))
    return f"What shall appear in {where}? I'd take {letter}."


def names_question(source: str, default: Sequence[str]) -> str:
    what = source.replace("_", " ")
    plain = listed(name.replace("_", " ") for name in default)
    return (
        f"**Which information** shall I read from the {what}? Name it as it stands there, for example *policy number, "
        f"patient name and date*. I'd take {plain}."
    )


def include_question(fields: Sequence[str], *, placed: bool = False) -> str:
    """`placed`: it was said already where it goes."""
    there = f"There is: {', '.join(fields) or 'only the title'}. I'd take all of it."
    if placed:
        return f"**What** shall be in the briefing? {there}\n\nFor example: *status and owner*. Or say *you choose*."
    return (
        f"1. **What** shall be in the briefing? {there}\n"
        "2. **Where** shall I put it? I'd put it in your inbox here.\n\nFor example: *status and owner, in my inbox*. "
        "Or say *you choose*."
    )


def values_question(step: str, slot: str, fields: Sequence[str]) -> str:
    there = f" There is: {', '.join(fields)}." if fields else ""
    asked = {
        "text": "What shall the message say? Names of values in braces are filled in, for example *Welcome, {name}!* "
        "I'd write *Done.*",
        "title": "What shall it be called? Names of values in braces are filled in, for example *Kick-off for {name}*. "
        "I'd take *{title}*.",
        "values": f"What shall be set there?{there} For example: *set Status to Done*.",
    }
    return f"**{step}:** {asked.get(slot, asked['text'])}"


def sign_in_text(title: str, asks: Sequence[str], url: str, again: bool) -> str:
    """What the screen asks is told once; who comes back has read it."""
    closing = "Say *done* when you are through; I'll check it."
    if again:
        return f"Here is the address to sign in to {title} again: [Connect {title}]({url})\n\n{closing}"
    lines = (
        "\n".join(f"- {ask}" for ask in asks)
        or f"- {title} asks which pages and databases I may see. Only what you pick there can be read."
    )
    return (
        f"Here is the address to sign in to {title}: [Connect {title}]({url})\n\n"
        f"This is what the {title} screen asks, and why:\n\n{lines}\n\n{closing}"
    )


def nothing_arrived(title: str) -> str:
    return f"Nothing has arrived from {title} yet, so it isn't connected. Open the address, choose what to share and allow access; then tell me."


def connected_text(title: str, workspace: str | None, resources: Sequence[Resource], sample: bool) -> str:
    kind = resources[0].kind if resources else "database"
    if sample:
        return f"We go on with **sample data**, not with your {title}. These are the sample {plural(kind)}: {counts(resources)}."
    seen = counted(len(resources), kind, plural(kind))
    return f"{title} is connected: workspace **{workspace}**. I can see {seen}: {counts(resources)}."


def plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def nothing_shared(title: str, workspace: str | None, kind: str = "database") -> str:
    return f"{title} is connected (workspace **{workspace}**), but no {kind} is shared with me. Share one there, then say *yes*."


def counts(resources: Sequence[Resource]) -> str:
    shown = [r.name if r.items is None else f"{r.name} {r.items:,}" for r in resources[:MOST_SHOWN]]
    left = len(resources) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left else "")


def workspaces(title: str, first: str) -> str:
    return f"{title} is connected with several workspaces. Which one? I'd take {first}."


def choices(items: Sequence[str]) -> str:
    return "\n".join(f"- **{chr(65 + i)}** {item}" for i, item in enumerate(items[:26]))


def resources_question(default: Sequence[str], title: str) -> str:
    """Without a default where one was named that is not there: no other is put in its place."""
    taken = f" I'd take {listed(default)}." if default else ""
    return f"Which of them in {title} shall I use? You can say *the first two*, *all*, or names.{taken}"


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
