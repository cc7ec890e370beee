"""Texts out of what earlier steps found: names put in, messages in full and in short, values of any type."""

# ruff: noqa: E501 - data is best read on one line

from __future__ import annotations

from typing import Any

import pytest

from sandbox_kit.entries import entry_of
from sandbox_kit.found import entries_of, filled, happened, known, nothing_found, results
from sandbox_kit.messages import message_of, said, subject_of, whole_of
from sandbox_kit.reading import brief_text, fetched, if_there, plain_page
from sandbox_kit.skill import Refused, Request, ToolError
from sandbox_kit.targets import listed, number_of, place_of, things_of
from sandbox_kit.writing import changed, made, rows_found, typed, with_title

REPORT = {"title": "Weekly", "text": "# Weekly\n\n- one\n- two", "items": 2, "read": ["Projects"]}
ROW = {"id": "p1", "title": "Website", "url": "https://n.example/1", "edited_at": "2026-11-20T10:00:00Z", "fields": {"Status": "At Risk", "Seats": 3}}  # fmt: skip
EVENT = {"event": {"id": "p1", "type": "row.created", "resource": "db", "item": ROW}}


def asked(given: dict[str, Any] | None = None, **config: Any) -> Request:
    context = {"now": "2026-11-21T09:00:00Z", "date": "2026-11-21", "timezone": "UTC"}
    return Request(
        input=given or {}, config=config, context=context, tools=[], run_id="r", step="s", skill={}
    )


def both(**more: Any) -> Request:
    return asked({"results": [REPORT, {"text": "More.", "items": 0}], "run": {}, **more})


def test_results_are_those_that_were_asked_for_else_the_input() -> None:
    assert results(asked(REPORT)) == [REPORT]
    assert results(asked({"results": [REPORT, None], "run": {}})) == [REPORT]
    assert results(asked()) == []


def test_names_are_put_in_however_they_are_written() -> None:
    names = known(
        asked({"results": [REPORT], "earlier": [{"Due Date": "soon", "title": "far"}], "run": {"who": "me"}})
    )
    assert filled("{title}: {due_date}, {Due date}, {who}, {items}, {date}", names) == (
        "Weekly: soon, soon, me, 2, 2026-11-21"
    )
    assert filled("{}, {a b?!}", names) == "{}, {a b?!}"
    assert filled("{x}", {"x": [1.50, True, None, {"name": "N"}]}) == "1.5, yes, , N"
    with pytest.raises(Refused, match="'nobody'"):
        filled("Hello {nobody}", names)


def test_what_was_put_in_is_not_looked_at_again() -> None:
    assert filled("{a}", {"a": "{b}", "b": "secret"}) == "{b}"


def test_the_thing_that_started_the_run_is_known_by_its_fields() -> None:
    names = known(asked(EVENT))
    assert filled("{title} is {status} ({Seats})", names) == "Website is At Risk (3)"
    event = happened(asked(EVENT))
    assert event is not None
    assert (event["id"], event["place"], event["at"]) == ("p1", "db", "2026-11-20T10:00:00Z")
    assert entries_of(asked(EVENT)) == [event]
    assert happened(asked(REPORT)) is None


def test_entries_are_those_chosen_else_those_found_last() -> None:
    entry = entry_of(ROW)
    assert entries_of(asked({"results": [{"entries": [entry]}, {"text": "x"}], "run": {}})) == [entry]
    assert entries_of(asked({"about": {"entries": [entry]}, "results": [], "run": {}})) == [entry]
    assert entries_of(asked({"about": "event", "results": [{"entries": []}], "run": EVENT})) == [
        happened(asked(EVENT))
    ]
    assert entries_of(asked({"id": "x", "title": "T"}))[0]["title"] == "T"


def test_a_message_holds_everything_or_the_beginnings_or_the_words() -> None:
    assert message_of(both(), {"content": "full"}) == f"{REPORT['text']}\n\nMore."
    short = message_of(asked(REPORT), {"content": "summary_and_link"})
    assert short.endswith("The whole report is in the agent's inbox in OmniForge.")
    assert message_of(
        asked({**REPORT, "link": "https://x.example/r"}), {"content": "summary_and_link"}
    ).endswith("[Whole report](https://x.example/r)")
    assert message_of(asked(REPORT), {"content": "text", "text": "Found {items}."}) == "Found 2."
    assert (
        message_of(asked(REPORT), {"content": "text", "text": "Now!", "urgent": True})
        == "🔴 **Urgent**\n\nNow!"
    )
    assert "**Website**" in message_of(asked(EVENT), {"content": "full"})


def test_nothing_found_is_nothing_to_send_unless_it_is_asked_for() -> None:
    nothing = asked({"text": "Nothing changed.", "items": 0})
    assert nothing_found(nothing)
    assert not nothing_found(both())
    assert message_of(nothing, {"content": "full"}) == ""
    assert message_of(nothing, {"content": "full", "always": True}) == "Nothing changed."
    assert said(nothing, "", "#team")["status"] == "empty"
    assert said(asked(REPORT), "short", "#team") == {
        "output": {**REPORT, "sent": "short", "to": "#team", "posted": True},
        "message": "Sent to #team.",
    }
    with pytest.raises(Refused):
        message_of(asked(), {"content": "full"})


def test_a_subject_is_one_line() -> None:
    assert subject_of(both(), "x") == "Weekly"
    assert subject_of(asked({"text": "x"}), "**Hello** there\r\nBcc: evil") == "Hello there"
    assert "\n" not in subject_of(asked({"title": "a\nb\x00c"}), "x")


def test_where_and_what_is_meant() -> None:
    assert place_of(asked(place={"id": "C1", "name": "#team"})) == "#team"
    assert place_of(asked(place={"id": "db", "name": "Projects"})) == "db"
    assert listed("a@x.example, b@x.example and c@x.example") == ["a@x.example", "b@x.example", "c@x.example"]
    assert number_of({"fields": {"number": 7}, "id": "x"}) == 7
    assert number_of({"fields": {}, "id": "owner/name#12"}) == 12
    for wrong in ({}, {"name": " "}):
        with pytest.raises(Refused):
            place_of(asked(place=wrong))
    with pytest.raises(Refused):
        number_of({"id": "refs/heads/main", "title": "main"})
    with pytest.raises(Refused, match="201 entries"):
        things_of(asked({"results": [{"entries": [ROW] * 201}], "run": {}}))


def test_values_become_what_a_field_takes() -> None:
    types = {
        "Name": "title",
        "Seats": "number",
        "Done": "checkbox",
        "Tags": "multi_select",
        "Due": "date",
        "State": "status",
    }
    wanted = {
        "seats": "{n} of them",
        "done": "yes",
        "Tags": "a, b",
        "due": "2026-11-30T10:00:00Z",
        "State": "A, B",
        "Name": "{none}",
    }
    request = asked({"n": "1,200", "none": ""})
    assert typed(wanted, request, types) == {
        "Seats": 1200,
        "Done": True,
        "Tags": ["a", "b"],
        "Due": "2026-11-30",
        "State": "A  B",
    }
    assert typed({"a": "{items}", "b": "{items} in all"}, asked(REPORT)) == {"a": 2, "b": "2 in all"}
    assert with_title({"Seats": 1}, types, "T") == {"Name": "T", "Seats": 1}
    for wrong in ({"Nope": "x"}, {"Seats": "many"}, {"Due": "soon"}):
        with pytest.raises(Refused):
            typed(wrong, request, types)


def test_rows_are_the_values_or_the_entries_or_what_was_found() -> None:
    assert rows_found(asked(), {"a": ["x", "y"]}) == [{"a": "x, y"}]
    assert rows_found(asked({"entries": [entry_of(ROW)]}), {}) == [
        {"Title": "Website", "Status": "At Risk", "Seats": 3}
    ]
    assert rows_found(asked({"supplier": "Acme", "total": 9.5}), {}) == [
        {"supplier": "Acme", "total": 9.5, "date": "2026-11-21"}
    ]
    with pytest.raises(Refused):
        rows_found(asked(), {})


def test_what_was_written_is_told() -> None:
    result = made(asked(REPORT), {"id": "i1", "url": "https://x.example/1"}, "New *issue*", "ENG")
    assert result["output"]["text"].endswith("Created [New \\*issue\\*](https://x.example/1).")
    assert (result["message"], result["output"]["id"]) == ("Created New *issue*.", "i1")
    assert changed(asked(), [])["status"] == "empty"
    assert changed(asked(), [entry_of(ROW)])["message"] == "Changed 1 entry."


def test_a_briefing_tells_what_was_asked_for_and_what_is_missing() -> None:
    page = {**ROW, "text": "# Head\n\nIt was founded in 1999.", "said": [{"author": "Bo", "text": "Hm *ok*"}]}
    entry = entry_of(ROW)
    text = brief_text(entry, page, ["Status", "Founded", "Budget"])
    assert "# [Website](https://n.example/1)" in text
    assert "- **Status:** At Risk" in text
    assert "## Notes\n\n### Head" in text
    assert "- **Bo:** Hm \\*ok\\*" in text
    assert "*There is nothing about Budget here.*" in text
    assert "Seats" not in text
    assert "not there any more" in brief_text(entry, None, [])


def test_what_a_field_points_to_is_named() -> None:
    linked = "0f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8"
    entry = entry_of({**ROW, "fields": {"Client": [linked], "Ids": ["other"]}})
    text = brief_text(entry, {}, [], lambda one: {"id": one, "title": "Aurora Health"})
    assert "- **Client:** Aurora Health" in text
    assert "- **Ids:** other" in text


def test_only_what_is_gone_is_passed_over() -> None:
    def gone() -> Any:
        raise ToolError("resource_not_found", "gone")

    def down() -> Any:
        raise ToolError("service_down", "down")

    assert if_there(gone) is None
    assert if_there(lambda: {"id": "1"}) == {"id": "1"}
    with pytest.raises(ToolError):
        if_there(down)


def test_an_address_gives_a_list_or_a_thing_or_a_page_or_a_table() -> None:
    listing = fetched({"json": {"items": [{"id": "1", "name": "A", "amount": 3}]}}, "T")
    assert (listing["items"], listing["entries"][0]["title"]) == (1, "A")
    assert "Amount: 3" in listing["text"]
    thing = fetched({"json": {"name": "A", "amount": 3}}, "T")
    assert (thing["amount"], thing["items"]) == (3, 1)
    page = fetched(
        {"text": "<html><head><style>x{}</style></head><body><p>Hello <b>you</b></p><ul><li>one</li></ul>"},
        "T",
    )
    assert page["text"] == "Hello you\n\n- one"
    table = fetched({"text": "Name,Seats\nA,3\n", "headers": {"content-type": "text/csv"}}, "T")
    assert (table["items"], table["entries"][0]["fields"]) == (1, {"Name": "A", "Seats": "3"})
    assert fetched({"text": ""}, "T")["items"] == 0
    assert plain_page("no markup < here") == "no markup < here"


def test_the_whole_is_what_every_step_wrote() -> None:
    assert whole_of(both()) == f"{REPORT['text']}\n\nMore."
    assert whole_of(asked()) == ""
