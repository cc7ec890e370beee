"""What messages about agents that exist begin, and what they say to an open question. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omniforge.builder.exchange import AgentSeen, Facts, Turn, UpkeepRequest
from omniforge.builder.naming import told_apart
from omniforge.builder.questions import pose
from omniforge.builder.replies import choices_card
from omniforge.builder.state import ConversationState, ListItem, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.cron_words import moment_words
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.upkeep import exchange as ask
from omniforge.builder.upkeep import finishing, naming
from omniforge.builder.upkeep import wording as say
from omniforge.builder.upkeep.asking import go, put, sure
from omniforge.builder.upkeep.hearing import asks_of_one, confirms, hear
from omniforge.builder.upkeep.matter import Asking, Deed, Matter, closed, matter_of

MOST_LISTED = 10


def take(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
    """Begin what a message wants to be done; None when it wants nothing of the kind."""
    heard = hear(text)
    if heard is None and (target := naming.run_by_name(text, facts)):
        heard = Deed.RUN, target
    if heard is None or _is_of_the_build(state, *heard, reading, facts):
        return None
    deed, target = heard
    before = matter_of(state) if state.pending is Pending.UPKEEP else None
    if before is not None:
        state = closed(state, before)
    matter = Matter(deed=deed, under=state.pending, said=text)
    if deed is Deed.STATUS and not _means_one(state, text, facts):
        return _list(state, facts)
    if deed is Deed.BRING_BACK:
        return go(state, matter, ask.LookForDeleted(), "Looking for it …")
    if not facts.agents:
        return None if deed is Deed.FINISH else pose(state.noted(say.NO_AGENTS), facts)
    whole = target == text
    found = naming.in_sentence(state, text, facts) if whole else naming.meant(state, target, facts)
    found = _likeliest(deed, list({agent.id: agent for agent in found}.values()))
    if deed is Deed.FINISH and not (found and found[0].status == "draft"):
        return None
    if not found:
        note = say.none_found(target, naming.nearest(target, facts))
        return pose(state.noted(note).but(quoted=(*state.quoted, *(a.name for a in facts.agents))), facts)
    if len(found) > 1:
        return _which(state, matter, found, facts)
    return begin(state, matter, found[0], facts)


def answer(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
    """The answer to the open question; None when something else was said, which is then answered first."""
    matter = matter_of(state)
    if matter is None:
        return None
    typed = matter.asking in (Asking.NAME, Asking.TEXT)
    if confirms(matter, text, reading):
        return _yes(state, matter, facts)
    if reading.stance in (Stance.CANCEL, Stance.BACK, Stance.PAUSE) or (
        reading.stance is Stance.NO and matter.asking not in (Asking.ACCEPT, Asking.PLACE)
    ):
        return _dropped(state, matter, facts)
    if reading.stance in (Stance.RESTART, Stance.RESUME):
        return None
    if reading.stance is Stance.QUESTION and not typed:
        return None
    heard = hear(text)
    if heard is not None and not typed and not _is_answer(matter, heard[0], reading):
        return None  # another matter
    return _ANSWERS[matter.asking](state, matter, text, reading, facts)


def not_understood(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """What is left: the question is asked again, and nothing was done."""
    return pose(state.noted(say.NOT_SURE), facts)


def _is_of_the_build(
    state: ConversationState, deed: Deed, target: str, reading: Reading, facts: Facts
) -> bool:
    """Words like those of a command that are about what is being built, not about an agent that exists."""
    building = state.pending not in (Pending.NONE, Pending.WISH, Pending.UPKEEP)
    if not building:
        return False
    match deed:
        case Deed.UNDO:
            return reading.stance is Stance.BACK and naming.version_in(target) is None
        case Deed.STATUS | Deed.DETAILS | Deed.VERSIONS:
            return state.pending in (Pending.DETAILS, Pending.VALUES) and not target.endswith("?")
        case Deed.FINISH:
            return False
        case _:
            there = any(agent.id == state.draft_agent_id for agent in facts.agents)
            return intent.says_it(target) and not there


# --- beginning ------------------------------------------------------------------------------------


def begin(state: ConversationState, matter: Matter, agent: AgentSeen, facts: Facts) -> Turn:
    """The agent is known: look at it, ask, or do what needs no asking."""
    matter = matter.but(agent_id=agent.id, name=agent.name, status=agent.status)
    state = closed(state, matter).but(quoted=(*state.quoted, agent.name))
    match matter.deed:
        case Deed.RUN if agent.status == "active":
            return go(state, matter, ask.StartRun(agent.id), f"Running {agent.name} …")
        case Deed.RUN | Deed.RESUME | Deed.PAUSE if agent.status == "draft":
            return _draft(state, matter, facts)
        case Deed.PAUSE if agent.status == "paused":
            return pose(state.noted(f"**{agent.name}** is paused already."), facts)
        case Deed.RESUME if agent.status == "active":
            return pose(state.noted(f"**{agent.name}** is switched on already."), facts)
        case Deed.PAUSE:
            return sure(state, matter, [say.pause_sure(agent.name)], "Yes, pause it", facts)
        case Deed.ARCHIVE:
            return sure(state, matter, [say.delete_sure(agent.name)], "Yes, delete it", facts)
        case Deed.RENAME:
            return _renaming(state, matter, naming.name_in(matter.said), facts)
        case Deed.UNDO:
            request = ask.CompareWith(agent.id, naming.version_in(matter.said))
            return go(state, matter, request, "Looking at its versions …")
        case Deed.VERSIONS:
            return go(state, matter, ask.ListVersions(agent.id), "Looking at its versions …")
        case Deed.SPREAD:
            return go(state, matter, ask.Distribute(agent.id), "Counting …")
        case _:
            return go(state, matter, ask.LookAt(agent.id), f"Looking at {agent.name} …")


def _draft(state: ConversationState, matter: Matter, facts: Facts) -> Turn:
    """A draft does not run: it is tested or finished, in the build that is open when it is that one."""
    if matter.agent_id == state.draft_agent_id and state.pending is not Pending.NONE:
        note = f"**{matter.name}** is not switched on, so it can't run yet. We can go on with it right here."
        return pose(state.noted(note), facts)
    asked = matter.but(asking=Asking.DRAFT)
    return put(state, asked, [say.draft_text(matter.name)], ["A", "B", "Not now"], facts)


def _renaming(state: ConversationState, matter: Matter, new: str, facts: Facts) -> Turn:
    if not new or new.casefold() == matter.name.casefold():
        asked = matter.but(asking=Asking.NAME)
        return put(state, asked, [f"What shall I call **{matter.name}** from now on?"], [], facts)
    state = state.but(quoted=(*state.quoted, new))
    return sure(state, matter.but(new_name=new), [say.rename_sure(matter.name, new)], "Yes, rename it", facts)


def _which(state: ConversationState, matter: Matter, found: Sequence[AgentSeen], facts: Facts) -> Turn:
    names = told_apart(found[:MOST_LISTED])
    items = tuple(ListItem(id=agent.id, name=name) for agent, name in zip(found, names, strict=False))
    rows = "\n".join(f"- **{chr(65 + n)}** {name}" for n, name in enumerate(names))
    state = state.but(last_list=items, quoted=(*state.quoted, *names))
    cards = [choices_card("Agents", items)]
    asked = matter.but(asking=Asking.WHICH, items=items)
    return put(state, asked, ["Which one do you mean?", rows], names[:4], facts, cards)


def _list(state: ConversationState, facts: Facts) -> Turn:
    names = told_apart(facts.agents[:MOST_LISTED])
    lines = [_line(agent, name) for agent, name in zip(facts.agents, names, strict=False)]
    note = "Your agents:\n\n" + "\n".join(lines) if lines else say.NO_AGENTS
    if len(facts.agents) > MOST_LISTED:
        note += f"\n\n… and {len(facts.agents) - MOST_LISTED} more."
    items = tuple(ListItem(id=agent.id, name=agent.name) for agent in facts.agents[:MOST_LISTED])
    state = state.but(quoted=(*state.quoted, *(agent.name for agent in facts.agents)))
    if state.pending is Pending.NONE or not state.last_list:
        state = state.but(last_list=items)
    return pose(state.noted(note), facts)


def _line(agent: AgentSeen, name: str) -> str:
    parts = [f"- **{name}**: {say.STATUS_WORDS.get(agent.status, agent.status)}"]
    if agent.next_run:
        parts.append(f"next run {moment_words(agent.next_run, agent.timezone)}")
    if agent.last_run:
        parts.append(f"last run {agent.last_run}")
    return "; ".join(parts)


def _means_one(state: ConversationState, text: str, facts: Facts) -> bool:
    found = naming.in_sentence(state, text, facts)
    return (
        len(found) == 1 and (len(facts.agents) > 1 or asks_of_one(text)) and _names_it(state, text, found[0])
    )


def _names_it(state: ConversationState, text: str, agent: AgentSeen) -> bool:
    return asks_of_one(text) or agent.name.casefold() in text.casefold()


def _likeliest(deed: Deed, found: list[AgentSeen]) -> list[AgentSeen]:
    wanted = {Deed.RUN: "active", Deed.PAUSE: "active", Deed.RESUME: "paused", Deed.FINISH: "draft"}.get(deed)
    return [agent for agent in found if agent.status == wanted] or found


# --- answers --------------------------------------------------------------------------------------


def _yes(state: ConversationState, matter: Matter, facts: Facts) -> Turn:
    request = _ON_YES.get(matter.deed)
    if matter.asking is Asking.SURE and request is not None:
        return go(state, matter, request(matter), "One moment …")
    turn = finishing.on_yes(state, matter)
    return turn or _ANSWERS[matter.asking](state, matter, "yes", Reading(Stance.YES), facts)


_ON_YES: dict[Deed, Callable[[Matter], UpkeepRequest]] = {
    Deed.PAUSE: lambda m: ask.PauseIt(m.agent_id),
    Deed.RUN: lambda m: ask.SwitchOn(m.agent_id),
    Deed.RESUME: lambda m: ask.SwitchOn(m.agent_id),
    Deed.BRING_BACK: lambda m: ask.GoBack(m.agent_id, m.version, None),
    Deed.ARCHIVE: lambda m: ask.DeleteIt(m.agent_id),
    Deed.RENAME: lambda m: ask.RenameIt(m.agent_id, m.new_name),
    Deed.UNDO: lambda m: ask.GoBack(m.agent_id, m.version, m.expected),
    Deed.SHARE: lambda m: ask.ShareIt(
        m.agent_id, m.mode, ("tenant",) if m.everybody else tuple(person.id for person in m.people)
    ),
    Deed.UNSHARE: lambda m: ask.TakeBack(m.agent_id),
    Deed.TELL: lambda m: ask.TellOthers(m.agent_id),
}


def _which_answer(
    state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts
) -> Turn:
    picked = resolve(text, [item.name for item in matter.items]).positions
    agents = {agent.id: agent for agent in facts.agents}
    chosen = [agents[matter.items[i].id] for i in picked if matter.items[i].id in agents]
    if len(chosen) != 1:
        return pose(state.noted("Please name one of them."), facts)
    return begin(state, matter, chosen[0], facts)


def _how_answer(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    said = text.casefold()
    if reading.choice in (1, 2):
        mode = "template" if reading.choice == 1 else "team"
    elif any(word in said for word in ("template", "own copy", "copies", "a copy")):
        mode = "template"
    elif any(word in said for word in ("team agent", "shared agent", "same one", "one agent", "together")):
        mode = "team"
    else:
        return pose(state.noted("Please say **A** or **B**."), facts)
    return whom(state, _with_people(matter.but(mode=mode), text), facts)


def _whom_answer(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    found = _with_people(matter, text)
    if not found.people:
        return pose(state.noted("I know nobody of that name here."), facts)
    return whom(state, found, facts)


def whom(state: ConversationState, matter: Matter, facts: Facts) -> Turn:
    """Ask who gets it, or, when that is known, whether to do it."""
    names = [person.name for person in matter.offered]
    state = state.but(quoted=(*state.quoted, *names))
    if not matter.people:
        actions = [*names[:3], "Everybody"]
        return put(state, matter.but(asking=Asking.WHOM), [say.whom_question(names)], actions, facts)
    people = [person.name for person in matter.people]
    return sure(state, matter, [say.share_sure(matter.name, matter.mode, people)], "Yes, share it", facts)


def _with_people(matter: Matter, text: str) -> Matter:
    """With those a message names as well."""
    named, everybody = naming.people_in(text, matter.offered)
    if everybody:
        return matter.but(people=matter.offered, everybody=True)
    more = tuple(person for person in named if person not in matter.people)
    return matter.but(people=(*matter.people, *more)) if not matter.everybody else matter


def _sure_answer(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    """Anything but a clear yes or no: what it adds is shown first, and asked again."""
    if matter.deed is Deed.SHARE:
        changed = _with_people(matter, text)
        if reading.choice in (1, 2):
            changed = changed.but(mode="template" if reading.choice == 1 else "team")
        if changed != matter:
            return whom(state, changed, facts)
    if matter.deed is Deed.UNDO and (number := naming.version_in(text)):
        request = ask.CompareWith(matter.agent_id, number)
        return go(state, matter, request, "Looking at its versions …")
    if matter.deed is Deed.RENAME and (new := naming.name_in(text)):
        return _renaming(state, matter, new, facts)
    return pose(state.noted(say.NOT_SURE), facts)


def _name_answer(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    return _renaming(state, matter, naming.name_in(text) or naming.bare_name(text), facts)


def _draft_answer(
    state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts
) -> Turn:
    said = text.casefold()
    if reading.choice == 1 or reading.act is Act.TEST or "test" in said:
        request = ask.TryIt(matter.agent_id, "dry")
        return go(state, matter.but(deed=Deed.FINISH), request, "Testing it …")
    if reading.choice == 2 or "finish" in said:
        finish = matter.but(deed=Deed.FINISH)
        return go(state, finish, ask.LookAt(matter.agent_id), f"Looking at {matter.name} …")
    return pose(state.noted("Please say **A** or **B**."), facts)


_ANSWERS: dict[Asking, Callable[[ConversationState, Matter, str, Reading, Facts], Turn]] = {
    Asking.WHICH: _which_answer,
    Asking.HOW: _how_answer,
    Asking.WHOM: _whom_answer,
    Asking.NAME: _name_answer,
    Asking.SURE: _sure_answer,
    Asking.DRAFT: _draft_answer,
    Asking.CONNECT: finishing.unclear,
    Asking.SIGN_IN: finishing.signed_in,
    Asking.PLACE: finishing.place_chosen,
    Asking.TEXT: finishing.text_given,
    Asking.TEST: finishing.unclear,
    Asking.ACCEPT: finishing.seen,
    Asking.SWITCH_ON: finishing.unclear,
}


def _is_answer(matter: Matter, deed: Deed, reading: Reading) -> bool:
    """Words of a command that answer the open question ("test it", "finish it", "share it with Ana")."""
    match matter.asking:
        case Asking.DRAFT | Asking.TEST | Asking.ACCEPT:
            return deed in (Deed.FINISH, Deed.RUN)
        case Asking.SWITCH_ON:
            return reading.act is Act.ACTIVATE
        case Asking.HOW | Asking.WHOM:
            return deed is Deed.SHARE
        case Asking.SURE:
            return deed is matter.deed
        case _:
            return False


def _dropped(state: ConversationState, matter: Matter, facts: Facts) -> Turn:
    note = say.NOBODY_TOLD if matter.deed is Deed.TELL else say.NOTHING_CHANGED
    return pose(closed(state, matter).noted(note), facts)
