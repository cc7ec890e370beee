"""How it goes on after something was done with an agent: only what was observed is said. Pure."""

from __future__ import annotations

from omniforge.builder.exchange import Facts, Json, Turn, UpkeepOutcome
from omniforge.builder.phases import Phase
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.text import listed
from omniforge.builder.upkeep import exchange as got
from omniforge.builder.upkeep import finishing, naming
from omniforge.builder.upkeep import wording as say
from omniforge.builder.upkeep.asking import end, go, put, sure
from omniforge.builder.upkeep.matter import Asking, Deed, Matter, matter_of
from omniforge.builder.vocabulary import forbidden_words

MOST_WATCHED = 7
"""Requests in one turn that watch a run; the last one waits to its end."""


def resume(  # noqa: C901, PLR0912 - one line for each outcome
    state: ConversationState, outcome: UpkeepOutcome, facts: Facts
) -> Turn:
    matter = matter_of(state)
    if matter is None:  # nothing is under way any more
        return pose(state, facts)
    match outcome:
        case got.Looked():
            return _looked(state, matter, outcome, facts)
        case got.RunGoing():
            return _going(state, matter, outcome)
        case got.RunOver():
            return _over(state, matter, outcome, facts)
        case got.VersionsListed():
            return _versions(state, matter, outcome, facts)
        case got.Compared():
            return _compared(state, matter, outcome, facts)
        case got.WentBack():
            return _went_back(state, matter, outcome, facts)
        case got.Distributed():
            return _distributed(state, matter, outcome, facts)
        case got.SharedIt():
            return _shared(state, matter, outcome, facts)
        case got.OthersTold(people=people):
            return end(state, matter, say.others_told_text(people), facts, quoted=people)
        case got.TakenBack(stopped=stopped):
            return end(state, matter, say.taken_back_text(matter.name, stopped), facts)
        case got.Done():
            return _done(state, matter, outcome, facts)
        case got.SwitchedOn():
            return _switched_on(state, matter, outcome, facts)
        case got.DeletedFound(agents=agents):
            return _deleted(state, matter, agents, facts)
        case got.SignInOpened():
            return finishing.sign_in_opened(state, matter, outcome, facts)
        case got.ConnectionSeen():
            return finishing.connection_seen(state, matter, outcome, facts)
        case got.PlacesListed():
            return finishing.places_listed(state, matter, outcome, facts)
        case got.Chosen(left=left):
            return finishing.chosen(state, matter, left, facts)
        case got.Tried():
            return finishing.tried(state, matter, outcome, facts)
        case got.NotDone():
            return _not_done(state, matter, outcome, facts)
        case _:
            return pose(state, facts)


def offer_to_tell(state: ConversationState, agent_id: str, name: str, how_many: int, facts: Facts) -> Turn:
    """Others have an agent that was changed just now: shall they hear of it?"""
    matter = Matter(deed=Deed.TELL, under=state.pending, agent_id=agent_id, name=name)
    return sure(state, matter, [say.tell_others_question(how_many)], "Yes, tell them", facts)


def _looked(state: ConversationState, matter: Matter, seen: got.Looked, facts: Facts) -> Turn:
    matter = matter.but(name=seen.name, status=seen.status)
    quoted = (
        *state.quoted, seen.name, seen.description, seen.owner, *seen.places, *seen.connections,
        *seen.effects, *seen.runs, *seen.shared_with, seen.paused_reason,
        *(text for step in seen.steps for text in step), *(person.name for person in seen.people),
    )  # fmt: skip
    state = state.but(quoted=quoted)
    match matter.deed:
        case Deed.SHARE:
            return _share(state, matter, seen, facts)
        case Deed.UNSHARE:
            if not seen.shared_with:
                return end(state, matter, f"**{seen.name}** is not shared with anybody.", facts)
            question = say.take_back_sure(seen.name, seen.shared_with)
            return sure(state, matter, [question], "Yes, take it back", facts)
        case Deed.RUN | Deed.RESUME:
            return sure(state, matter, [say.resume_sure(seen)], "Yes, switch it on", facts)
        case Deed.FINISH:
            return finishing.next_step(state, matter, seen, facts)
        case _:
            text = say.details_text(seen)
            if matter.deed is Deed.STATUS:
                text += f"\n\n{say.runs_text(seen)}"
            return end(state, matter, text, facts, cards=[_card(seen)])


def _card(seen: got.Looked) -> Json:
    return {
        "type": "agent",
        "title": seen.name,
        "agent_id": seen.agent_id,
        "status": seen.status,
        "version": seen.version,
        "when": seen.when,
        "next_run": seen.next_run.isoformat() if seen.next_run else None,
        "timezone": seen.timezone,
        "steps": [key for key, _ in seen.steps],
        "shared_with": list(seen.shared_with),
    }


def _share(state: ConversationState, matter: Matter, seen: got.Looked, facts: Facts) -> Turn:
    if not seen.may_share:
        return end(state, matter, say.SHARED_BY_OWNER.format(name=seen.name, owner=seen.owner), facts)
    if not seen.people:
        return end(state, matter, say.NOBODY_ELSE, facts)
    named, everybody = naming.people_in(matter.said, seen.people)
    people = seen.people if everybody else named
    asked = matter.but(offered=seen.people, people=people, everybody=everybody, asking=Asking.HOW)
    who = f" with {listed(f'**{person.name}**' for person in people)}" if people else ""
    return put(state, asked, [say.share_question(seen, who)], ["A", "B", "No"], facts)


# --- runs -----------------------------------------------------------------------------------------


def _going(state: ConversationState, matter: Matter, run: got.RunGoing) -> Turn:
    watched = matter.watched + 1
    request = got.WatchRun(run.execution_id, run.name, run.steps, to_end=watched >= MOST_WATCHED)
    shown = [
        f"{name}: {say.STEP_WORDS.get(status, status)}" for name, status in run.steps if status != "pending"
    ]
    return go(
        state, matter.but(watched=watched), request, "; ".join(shown) or f"{run.name} is about to start …"
    )


def _over(state: ConversationState, matter: Matter, run: got.RunOver, facts: Facts) -> Turn:
    told = (run.problem or "", run.next_step or "")
    if any(forbidden_words(part) for part in told):
        run = got.RunOver(run.execution_id, run.name, run.status, run.text, run.steps)
    card: Json = {
        "type": "execution",
        "title": run.name,
        "execution_id": run.execution_id,
        "status": run.status,
        "steps": [{"name": name, "status": status} for name, status in run.steps],
    }
    quoted = (run.name, run.text.strip(), *(name for name, _ in run.steps))
    return end(state, matter, say.run_text(run), facts, cards=[card], quoted=quoted)


# --- versions -------------------------------------------------------------------------------------


def _versions(state: ConversationState, matter: Matter, found: got.VersionsListed, facts: Facts) -> Turn:
    if not found.versions:
        note = f"**{found.name}** has no versions yet: it was never switched on."
        return end(state, matter, note, facts)
    card: Json = {
        "type": "history",
        "title": found.name,
        "agent_id": matter.agent_id,
        "versions": [
            {"version": one.number, "at": one.when.isoformat(), "author": one.author, "summary": one.summary,
             "current": one.current}
            for one in found.versions
        ],
    }  # fmt: skip
    quoted = [text for one in found.versions for text in (one.summary, one.author)]
    text = say.history_text(found.name, found.versions, facts.timezone)
    return end(state, matter, text, facts, cards=[card], quoted=quoted)


def _compared(state: ConversationState, matter: Matter, seen: got.Compared, facts: Facts) -> Turn:
    if seen.version is None:
        note = f"There is nothing to undo: **{seen.name}** has only the one version it was switched on with."
        if seen.status == "draft":
            note = f"**{seen.name}** was never switched on, so there is no version to go back to."
        return end(state, matter, note, facts)
    rows = [{"label": a, "before": b, "after": c, "changed": True} for a, b, c in seen.rows]
    card: Json = {"type": "diff", "title": "What would change back", "rows": rows}
    quoted = (*state.quoted, seen.summary, *(text for row in seen.rows for text in row))
    asked = matter.but(asking=Asking.SURE, version=seen.version, expected=seen.current, deed=Deed.UNDO)
    paragraphs = [say.undo_text(seen), say.undo_sure(seen)]
    actions = ["Yes, go back", "No", "Show the versions"]
    return put(state.but(quoted=quoted), asked, paragraphs, actions, facts, [card])


def _went_back(state: ConversationState, matter: Matter, done: got.WentBack, facts: Facts) -> Turn:
    card: Json = {
        "type": "agent",
        "title": done.name,
        "agent_id": matter.agent_id,
        "status": done.status,
        "version": done.version,
    }
    matter = _forgetting(state, matter)
    return end(_forget(state, matter), matter, say.went_back_text(done), facts, cards=[card])


def _distributed(state: ConversationState, matter: Matter, seen: got.Distributed, facts: Facts) -> Turn:
    counts: dict[str, int] = {}
    for _, _, version, _ in seen.holders:
        counts[str(version)] = counts.get(str(version), 0) + 1
    card: Json = {"type": "history", "title": seen.name, "agent_id": matter.agent_id, "counts": counts}
    quoted = [person for person, *_ in seen.holders]
    return end(state, matter, say.distribution_text(seen), facts, cards=[card], quoted=quoted)


# --- the rest -------------------------------------------------------------------------------------


def _shared(state: ConversationState, matter: Matter, done: got.SharedIt, facts: Facts) -> Turn:
    card: Json = {
        "type": "agent",
        "title": done.name,
        "agent_id": matter.agent_id,
        "shared_with": list(done.people),
        "copies": [agent_id for _, agent_id, _ in done.copies],
    }
    quoted = (*done.people, *(person for person, _, _ in done.copies))
    return end(state, matter, say.shared_text(done), facts, cards=[card], quoted=quoted)


def _done(state: ConversationState, matter: Matter, done: got.Done, facts: Facts) -> Turn:
    own = state.draft_agent_id == done.agent_id
    match done.did:
        case "renamed":
            note = f"**{matter.name}** is called **{done.name}** now."
            state = state.but(draft_name=done.name) if own else state
            return end(state, matter, note, facts, quoted=[done.name])
        case "deleted":
            note = (
                f"**{done.name}** is deleted and does not run any more. For 30 days you can say "
                f"*bring back {done.name}*."
            )
            matter = _forgetting(state, matter)
            return end(_forget(state, matter), matter, note, facts)
        case _:
            rest = " What runs of it now finishes." if done.running else ""
            note = (
                f"**{done.name}** is paused and no longer runs by itself.{rest} Say *switch it on* to go on."
            )
            return end(state, matter, note, facts)


def _switched_on(state: ConversationState, matter: Matter, done: got.SwitchedOn, facts: Facts) -> Turn:
    if matter.deed is Deed.RUN:  # it was paused, and a run was wanted
        state = state.noted(say.switched_on_text(done))
        return go(state, matter, got.StartRun(done.agent_id), f"Running {done.name} …")
    card: Json = {
        "type": "agent", "title": done.name, "agent_id": done.agent_id, "status": "active",
        "version": done.version, "timezone": done.timezone,
        "next_run": done.next_run.isoformat() if done.next_run else None,
    }  # fmt: skip
    return end(state, matter, say.switched_on_text(done), facts, cards=[card])


def _deleted(
    state: ConversationState, matter: Matter, agents: tuple[tuple[str, str, int], ...], facts: Facts
) -> Turn:
    names = [name for _, name, _ in agents]
    named = naming.matching_names(matter.said, names)
    if len(named) != 1:
        known = [agent.name for agent in facts.agents]
        note = say.none_found(matter.said, naming.nearest(matter.said, facts)) if known else say.NO_AGENTS
        return end(state, matter, note, facts, quoted=[*known, *names])
    agent_id, name, version = agents[named[0]]
    found = matter.but(agent_id=agent_id, name=name, version=version, status="archived")
    state = state.but(quoted=(*state.quoted, name))
    return sure(state, found, [say.bring_back_sure(name)], "Yes, bring it back", facts)


def _not_done(state: ConversationState, matter: Matter, failed: got.NotDone, facts: Facts) -> Turn:
    return end(state, matter, say.not_done_text(failed, matter.name), facts, quoted=[failed.who])


def _forgetting(state: ConversationState, matter: Matter) -> Matter:
    """A build of the very agent that is another one now does not go on."""
    fresh = ConversationState(phase=Phase.COMPLETE)
    return matter.but(under=fresh.pending) if state.draft_agent_id == matter.agent_id else matter


def _forget(state: ConversationState, matter: Matter) -> ConversationState:
    if state.draft_agent_id != matter.agent_id:
        return state
    kept = ("status", "links", "parked", "upkeep", "last_list", "notes", "quoted", "cards")
    fresh = ConversationState(phase=Phase.COMPLETE)
    return fresh.but(**{name: getattr(state, name) for name in kept})
