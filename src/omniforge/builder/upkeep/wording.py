"""What is said about agents that exist, in plain words; facts come in as arguments."""

# ruff: noqa: E501 - sentences stand on one line

from __future__ import annotations

from collections.abc import Sequence

from omniforge.builder.naming import STATUS_WORDS
from omniforge.builder.understanding.cron_words import moment_words
from omniforge.builder.understanding.text import listed
from omniforge.builder.upkeep.exchange import (
    Compared,
    Distributed,
    Looked,
    NotDone,
    RunOver,
    SharedIt,
    SwitchedOn,
    Tried,
    VersionSeen,
    WentBack,
)

STEP_WORDS = {
    "pending": "waits its turn",
    "running": "is at work",
    "waiting": "waits for somebody",
    "succeeded": "done",
    "skipped": "left out",
    "failed": "did not work",
    "cancelled": "was stopped",
}
NOBODY_TOLD = "Then nobody is told."
NOTHING_CHANGED = "All right, nothing was changed."
NO_AGENTS = "You have no agents yet. Tell me what you'd like to have done, and I make one."
NOT_SURE = "I'd rather not guess whether that was a yes."
NOBODY_ELSE = (
    "There is nobody else here yet to share it with. An owner or admin can ask people in; then say it again."
)
SHARED_BY_OWNER = "You can look at **{name}** and run it, but not share it. {owner} can."


def none_found(target: str, near: Sequence[str]) -> str:
    return f"I know no agent of that name. The nearest: {listed((f'**{name}**' for name in near), 'or')}."


def run_text(run: RunOver) -> str:
    steps = "\n".join(f"- {name}: {STEP_WORDS.get(status, status)}" for name, status in run.steps)
    shown = run.text.strip()
    match run.status:
        case "completed":
            parts = [f"**{run.name}** has run.", steps, shown]
        case "partial":
            parts = [f"**{run.name}** has run, but not all of it worked. Please have a look.", steps, shown]
        case "no_effect":
            parts = [f"**{run.name}** ran, and there was nothing to do.", steps, shown]
        case "waiting":
            parts = [f"**{run.name}** waits for somebody. {run.problem or ''}".strip(), steps]
        case "running":
            parts = [f"**{run.name}** is still running. The result comes to your inbox here.", steps]
        case _:
            what = run.problem or "It stopped unexpectedly."
            rest = run.next_step or "Say *run it* to try again."
            parts = [f"**{run.name}** did not finish. {what} {rest}", steps]
    return "\n\n".join(part for part in parts if part)


def draft_text(name: str) -> str:
    return (
        f"**{name}** is a draft, so it does not run yet.\n\n"
        "- **A** I test it now, on sample data, and nothing is changed.\n"
        "- **B** We finish it together: connect, choose, test, switch on."
    )


def details_text(seen: Looked) -> str:
    lines = [f"**{seen.name}** is {STATUS_WORDS.get(seen.status, seen.status)} (version {seen.version})."]
    if seen.paused_reason and seen.status == "paused":
        lines[0] += f" {seen.paused_reason}"
    if seen.description:
        lines.append(seen.description)
    if seen.steps:
        lines.append("\n".join(f"{n}. {words}" for n, (_, words) in enumerate(seen.steps, 1)))
    facts = [f"**When:** {seen.when}"]
    if seen.next_run is not None:
        facts.append(f"**Next run:** {moment_words(seen.next_run, seen.timezone)}")
    if seen.places:
        facts.append(f"**Uses:** {', '.join(seen.places)}")
    if seen.effects:
        facts.append(f"**May do:** {'; '.join(seen.effects)}")
    facts.append(f"**Belongs to:** {seen.owner}")
    if seen.shared_with:
        facts.append(f"**Shared with:** {listed(seen.shared_with)}")
    if seen.waiting_edit:
        facts.append("**Not switched on yet:** a change of it waits for a test and your yes")
    if seen.missing:
        titles = listed(seen.titles.get(name, name) for name in seen.missing)
        facts.append(f"**Missing:** {titles} is not connected")
    lines.append("\n".join(f"- {fact}" for fact in facts))
    return "\n\n".join(lines)


def runs_text(seen: Looked) -> str:
    if not seen.runs:
        return "It has not run yet."
    done = f"It ran {seen.total} times, {seen.succeeded} of them completed. " if seen.total > 1 else ""
    return f"{done}Its latest runs:\n\n" + "\n".join(f"- {line}" for line in seen.runs)


def share_question(seen: Looked, who: str) -> str:
    used = f"uses {listed(seen.connections)}" if seen.connections else "uses no connection"
    places = f" and reads or writes {listed(seen.places)}" if seen.places else ""
    return (
        f"**{seen.name}** belongs to {seen.owner}; it {used}{places}. How shall I share it{who}?\n\n"
        "- **A** A template: each gets an own copy as a draft, and connects own accounts. Nothing of your accounts or data goes along.\n"
        "- **B** A team agent: all use this one agent with its connection. They can look at it and run it; you and admins change it."
    )


def tell_others_question(how_many: int) -> str:
    whom = "the other person who has it" if how_many == 1 else f"the {how_many} others who have it"
    return f"Shall I tell {whom}? I'd leave a note in the inbox here, with what was changed."


def others_told_text(people: Sequence[str]) -> str:
    if not people:
        return "There is nobody else any more, so nobody was told."
    return f"I left a note for {listed([f'**{person}**' for person in people])} in their inbox here."


def whom_question(people: Sequence[str]) -> str:
    return f"Whom shall I share it with? Here there is {listed(people)}. Say names, or *everybody*."


def share_sure(name: str, mode: str, people: Sequence[str]) -> str:
    who = listed(f"**{one}**" for one in people)
    if mode == "team":
        return f"Shall I share **{name}** as a team agent with {who}? They can then look at it and run it, with the connection it has."
    copies = "a copy" if len(people) == 1 else "a copy each"
    return f"Shall I give {who} {copies} of **{name}**? They come as drafts, without your accounts, places and results."


def shared_text(done: SharedIt) -> str:
    if done.mode == "team":
        return f"**{done.name}** is a team agent now. {listed(done.people)} can look at it and run it, and found a note in the inbox here."
    lines = [
        f"- {person}: a draft" + (f"; still to choose there: {listed(left)}" if left else "")
        for person, _, left in done.copies
    ]
    return (
        f"Done: each has an own copy of **{done.name}** now, and a note in the inbox here.\n\n"
        + "\n".join(lines)
        + "\n\nThey connect own accounts, choose own places, and test it before it can be switched on."
    )


def take_back_sure(name: str, people: Sequence[str]) -> str:
    return f"Shall I take **{name}** back from {listed(people)}? What runs for them ends at once; their earlier results stay theirs."


def taken_back_text(name: str, stopped: int) -> str:
    runs = {0: "", 1: " One of their runs was ended."}.get(stopped, f" {stopped} of their runs were ended.")
    return f"**{name}** is private again.{runs} What it gave them stays theirs."


def history_text(name: str, versions: Sequence[VersionSeen], zone: str) -> str:
    lines = [
        f"- **Version {one.number}**{' (runs now)' if one.current else ''}, {moment_words(one.when, zone)}, by {one.author}: {one.summary}"
        for one in versions
    ]
    back = " Say *go back to version …* to have one of them again." if len(versions) > 1 else ""
    return f"The versions of **{name}**:\n\n" + "\n".join(lines) + (f"\n\n{back.strip()}" if back else "")


def undo_text(seen: Compared) -> str:
    lines = "\n".join(f"- **{label}:** {now} → {then}" for label, now, then in seen.rows)
    changes = f"This would change back:\n\n{lines}" if lines else "Nothing of what it does would change."
    return f"**{seen.name}** is at version {seen.current}. Going back to version {seen.version} ({seen.summary}): {changes}\n\nEverything else stays as it is."


def undo_sure(seen: Compared) -> str:
    return f"Shall I do that? It becomes version {seen.current + 1}, equal to version {seen.version}; nothing of the history is lost."


def went_back_text(done: WentBack) -> str:
    state = (
        "It is switched on"
        if done.status == "active"
        else "It is not switched on: say *switch it on* when you want it"
    )
    when = (
        f" The next run is on {moment_words(done.next_run, done.timezone)}."
        if done.next_run is not None
        else ""
    )
    return f"Done: **{done.name}** is at version {done.version} now, the same as version {done.to}. {state}.{when}"


def distribution_text(seen: Distributed) -> str:
    counts: dict[int, list[str]] = {}
    for person, how, version, status in seen.holders:
        note = {"owner": "owner", "team": "uses the team agent", "copy": f"own copy, {status}"}[how]
        counts.setdefault(version, []).append(f"{person} ({note})")
    lines = [
        f"- **Version {version}**{' (the latest)' if version == seen.current else ''}: {len(people)} — {', '.join(people)}"
        for version, people in sorted(counts.items(), reverse=True)
    ]
    alone = " It is shared with nobody else, so that is you." if len(seen.holders) == 1 else ""
    return (
        f"**{seen.name}** has not been offered to customers, so I count the people here who use it or have a copy of it.{alone}\n\n"
        + "\n".join(lines)
    )


def pause_sure(name: str) -> str:
    return f"Shall I pause **{name}**? It then no longer runs by itself; what runs now finishes. You can switch it on again any time."


def delete_sure(name: str) -> str:
    return f"Shall I delete **{name}**? It stops for good, and what runs of it now is ended. For 30 days it can be brought back."


def bring_back_sure(name: str) -> str:
    return f"**{name}** was deleted. Shall I bring it back? It comes back without running, until you switch it on."


def rename_sure(name: str, new: str) -> str:
    return f"Shall I call **{name}** **{new}** from now on? What it does stays the same."


def resume_sure(seen: Looked) -> str:
    lines = "\n".join(f"- {effect}" for effect in seen.effects) or "- changes nothing outside"
    return f"**{seen.name}** is paused. Switched on, it would run {seen.when}. Each time it\n\n{lines}\n\nShall I switch it on?"


def switched_on_text(done: SwitchedOn) -> str:
    when = (
        f"The next run is on {moment_words(done.next_run, done.timezone)}."
        if done.next_run
        else "It runs whenever you ask for it."
    )
    return (
        f"**{done.name}** is switched on (version {done.version}). {when} *Run {done.name}* works any time."
    )


def place_question(what: str, names: Sequence[str]) -> str:
    rows = "\n".join(f"- **{chr(65 + n)}** {name}" for n, name in enumerate(names[:26]))
    return f"Which {what} shall it use? These are the ones I see with your connection:\n\n{rows}"


def text_question(what: str) -> str:
    return f"What shall I put as its {what}? The one it had was somebody else's, so I left it out."


def tried_text(name: str, test: Tried) -> str:
    shown = test.report.strip()
    where = " with **sample data**, not your own" if test.sample_data else ""
    match test.verdict:
        case "passed":
            return f"This is what **{name}** gives{where}:\n\n---\n\n{shown}\n\n---\n\nIn this test nothing was changed or sent."
        case "no_effect":
            return f"**{name}** ran{where}, and there was nothing to report. Nothing was changed or sent."
        case "not_simulated":
            return (
                "Part of this could not be tried out, so the test doesn't count. Nothing was changed or sent."
            )
        case _:
            return f"The test did not work. {test.problem or 'A step stopped unexpectedly.'} Nothing was changed or sent."


def switch_on_question(name: str, effects: Sequence[str]) -> str:
    lines = "\n".join(f"- {effect}" for effect in effects) or "- changes nothing outside"
    return f"From then on **{name}**, each time it runs,\n\n{lines}\n\nShall I switch it on? (Until you say yes it stays a draft.)"


_NOT_DONE = {
    "forbidden": "You can look at **{name}**, but not change it. {who} can.",
    "not_found": "I can't find that.",
    "nothing_to_undo": "There is nothing to undo: that version of **{name}** is the one that runs.",
    "version_conflict": "Somebody changed **{name}** a moment ago. Nothing was changed by me; say it again to see how it stands now.",
    "skill_not_found": "That version of **{name}** uses a skill that was withdrawn or is damaged, so I can't bring it back as it was. What runs now stays as it is.",
    "connection_missing": "**{name}** needs a service that is not connected. Say *finish {name}* and we connect it.",
    "not_tested": "**{name}** was changed since its last test. Before it goes live I'd like to test it: say *change {name}* to go on with that, or *undo my last change*.",
    "cannot_receive": "That person may only look at agents, so an own copy would be of no use. Share it as a team agent, or ask an admin for another role.",
    "archived": "**{name}** was deleted more than 30 days ago, so I can't bring it back.",
    "not_active": "**{name}** is not switched on. Switch it on first.",
    "quota": "Too much runs here at the moment. Nothing was started; say it again in a minute.",
    "integration_not_configured": "That service isn't set up in this installation yet. Your administrator can do it.",
    "sandbox_unavailable": "The safe place to run this isn't available on this computer. 'omniforge doctor' shows what to install.",
}
_ALIKE = {"manifest_not_approved": "not_tested", "skill_damaged": "skill_not_found", "rate_limited": "quota"}


def not_done_text(failed: NotDone, name: str) -> str:
    """What did not work, what was not done, and what can be done next."""
    text = _NOT_DONE.get(
        _ALIKE.get(failed.code, failed.code),
        "That did not work, and **{name}** is as it was. Say it again in a moment, or tell me what to do instead.",
    )
    return text.format(name=name, who=failed.who or "Its owner")
