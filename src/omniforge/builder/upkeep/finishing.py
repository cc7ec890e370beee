"""Finishing a draft that is there already: connect, choose own places, test, switch on. Pure."""

from __future__ import annotations

from omniforge.builder.exchange import Facts, Turn
from omniforge.builder.questions import pose
from omniforge.builder.replies import choices_card
from omniforge.builder.state import ConversationState, ListItem
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.stance import Reading, Stance
from omniforge.builder.upkeep import exchange as ask
from omniforge.builder.upkeep import wording as say
from omniforge.builder.upkeep.asking import end, go, put
from omniforge.builder.upkeep.matter import Asking, Choice, Matter
from omniforge.builder.upkeep.naming import bare_name

PLACES = ("database", "page", "channel", "board", "team", "repositor", "repo", "place")


def next_step(state: ConversationState, matter: Matter, seen: ask.Looked, facts: Facts) -> Turn:
    """What is still missing before it can be tested; else the offer of the test."""
    matter = matter.but(
        integrations=seen.integrations, choices=seen.choices, connected=bool(seen.integrations)
    )
    if seen.missing:
        name = seen.missing[0]
        title = seen.titles.get(name, name)
        asked = matter.but(asking=Asking.CONNECT, integration=name)
        text = (
            f"**{seen.name}** needs your own {title}, which takes about two minutes to connect. "
            "Shall we connect it now? (I'd say yes.)"
        )
        return put(state, asked, [text], ["Yes", "Not now"], facts)
    return choose_next(state, matter, facts)


def choose_next(state: ConversationState, matter: Matter, facts: Facts) -> Turn:
    if not matter.choices:
        text = f"Shall I test **{matter.name}** now? It changes nothing and sends nothing. (I'd say yes.)"
        return put(state, matter.but(asking=Asking.TEST), [text], ["Yes, test it", "Not now"], facts)
    choice = matter.choices[0]
    if choice.what.startswith(PLACES) and matter.integrations:
        request = ask.ListPlaces(matter.integrations, choice.what)
        return go(state, matter, request, "Looking at what is there …")
    asked = matter.but(asking=Asking.TEXT)
    return put(state, asked, [say.text_question(choice.what)], [], facts)


# --- answers --------------------------------------------------------------------------------------


def on_yes(state: ConversationState, matter: Matter) -> Turn | None:
    match matter.asking:
        case Asking.CONNECT:
            return go(state, matter, ask.OpenSignIn(matter.integration), "Preparing the sign-in …")
        case Asking.SIGN_IN:
            return go(state, matter, ask.LookForConnection(matter.integration), "Checking the connection …")
        case Asking.TEST:
            mode = "preview" if matter.connected else "dry"
            return go(state, matter, ask.TryIt(matter.agent_id, mode), "Testing it …")
        case Asking.SWITCH_ON:
            request = ask.SwitchOn(matter.agent_id, matter.test_id)
            return go(state, matter, request, "Switching it on …")
        case _:
            return None


def unclear(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    return pose(state.noted(say.NOT_SURE), facts)


def signed_in(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    """Anything about being through is looked at, not believed."""
    if any(word in text.casefold() for word in ("done", "connected", "through", "ready", "finished")):
        return go(state, matter, ask.LookForConnection(matter.integration), "Checking the connection …")
    return unclear(state, matter, text, reading, facts)


def place_chosen(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    choice = matter.choices[0]
    picked = resolve(text, [item.name for item in matter.items]).positions
    if not picked and reading.stance is Stance.DELEGATE:
        picked = (0,)
    if not picked:
        return pose(state.noted("Please name one of them, or say its letter."), facts)
    if len(picked) > 1 and choice.shape not in ("places", "ids"):
        return pose(state.noted("There is room for one of them only."), facts)
    places = tuple({"id": matter.items[i].id, "name": matter.items[i].name} for i in picked)
    return go(state, matter, ask.Choose(matter.agent_id, choice, places=places), "Noting it …")


def text_given(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    choice = matter.choices[0]
    return go(state, matter, ask.Choose(matter.agent_id, choice, text=bare_name(text)), "Noting it …")


def seen(state: ConversationState, matter: Matter, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.YES:
        asked = matter.but(asking=Asking.SWITCH_ON)
        question = say.switch_on_question(matter.name, matter.effects)
        card = {"type": "effects", "title": "What it will do", "effects": list(matter.effects)}
        return put(state, asked, [question], ["Yes, switch it on", "Not now"], facts, [card])
    note = f"Then **{matter.name}** stays a draft. Say *change {matter.name}* and what shall be different."
    return end(state, matter, note, facts)


# --- outcomes -------------------------------------------------------------------------------------


def sign_in_opened(state: ConversationState, matter: Matter, got: ask.SignInOpened, facts: Facts) -> Turn:
    lines = "\n".join(f"- {line}" for line in got.asks)
    text = f"Here is the address to sign in to {got.title}: [Connect {got.title}]({got.url})"
    if lines:
        text += f"\n\nThis is what the {got.title} screen asks, and why:\n\n{lines}"
    card = {"type": "connection", "title": f"Connect {got.title}", "integration": got.integration,
            "status": "waiting", "url": got.url}  # fmt: skip
    asked = matter.but(asking=Asking.SIGN_IN)
    state = state.but(quoted=(*state.quoted, got.url))
    paragraphs = [text, "Say *done* when you are through; I'll check it."]
    return put(state, asked, paragraphs, ["Done", "Not now"], facts, [card], got.url)


def connection_seen(state: ConversationState, matter: Matter, got: ask.ConnectionSeen, facts: Facts) -> Turn:
    if got.workspace is None:
        note = f"Nothing has arrived from {got.title} yet, so it isn't connected."
        asked = matter.but(asking=Asking.SIGN_IN)
        state = state.noted(note).but(quoted=(*state.quoted, matter.url or ""))
        return put(state, asked, matter.paragraphs, matter.actions, facts, matter.cards, matter.url)
    note = f"{got.title} is connected: workspace **{got.workspace}**."
    state = state.noted(note).but(quoted=(*state.quoted, got.workspace))
    return go(state, matter, ask.LookAt(matter.agent_id), f"Looking at {matter.name} …")


def places_listed(state: ConversationState, matter: Matter, got: ask.PlacesListed, facts: Facts) -> Turn:
    choice = matter.choices[0]
    if not got.places:
        note = (
            f"I see no {choice.what} with your connection. Share some with me there, "
            f"then say *finish {matter.name}*."
        )
        return end(state, matter, note, facts)
    items = tuple(ListItem(id=id_, name=name) for id_, name, _ in got.places)
    shown = [name if count is None else f"{name} ({count:,} entries)" for _, name, count in got.places]
    state = state.but(last_list=items, quoted=(*state.quoted, *shown))
    card = choices_card(choice.what.title(), items, {id_: count for id_, _, count in got.places})
    asked = matter.but(asking=Asking.PLACE, items=items)
    names = [item.name for item in items]
    return put(state, asked, [say.place_question(choice.what, shown)], names[:4], facts, [card])


def chosen(state: ConversationState, matter: Matter, left: tuple[Choice, ...], facts: Facts) -> Turn:
    return choose_next(state.noted("Noted."), matter.but(choices=left), facts)


def tried(state: ConversationState, matter: Matter, got: ask.Tried, facts: Facts) -> Turn:
    card = {
        "type": "test_result", "title": "Test", "test_id": got.test_id, "verdict": got.verdict,
        "sample_data": got.sample_data, "report": got.report,
        "effects": [effect.summary for effect in got.effects],
    }  # fmt: skip
    quoted = (*state.quoted, got.report.strip(), *got.words, *(e.summary for e in got.effects))
    state = state.but(quoted=quoted, cards=(*state.cards, card))
    note = say.tried_text(matter.name, got)
    if got.sample_data and matter.integrations == () and got.verdict == "passed":
        return end(state, matter, f"{note} Say *finish {matter.name}* to go on with it.", facts)
    if got.verdict != "passed":
        return end(state, matter, f"{note} Say *finish {matter.name}* to try again.", facts)
    asked = matter.but(asking=Asking.ACCEPT, test_id=got.test_id, effects=got.words)
    return put(state.noted(note), asked, ["Does it look right?"], ["Looks good", "Not yet"], facts)
