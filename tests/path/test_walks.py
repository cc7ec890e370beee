"""What a person chooses in a conversation is what its agent reads, over the whole real path."""

from __future__ import annotations

from pathlib import Path

from tests.path.journeys import town

WISH = (
    "Every weekday at 8 collect the open GitHub issues labelled bug in acme/app "
    "and post them to #bugs on Slack"
)


async def test_the_entries_that_were_named_are_tested_and_places_that_are_not_there_are_asked_for(
    tmp_path: Path,
) -> None:
    async with town(tmp_path / "home", "github", "slack") as person:
        asked = await person.talk(WISH, "yes", "done", "yes", "done")
        assert "can't find acme/app" in asked["text"]
        assert "I'd take" not in asked["text"]
        asked = await person.talk("storefront")
        assert "can't find #bugs" in asked["text"]
        summary = await person.talk("#engineering", "you choose", "A")
        assert "only labels bug; only state open" in summary["text"]
        tested = await person.talk("yes", "yes")
        cards = {card["type"]: card for card in tested["data"]["cards"]}
        report = cards["test_result"]["report"]
        assert report.count("State: open") == 2
        assert "closed" not in report
        changed = await person.talk("post to #leads instead")
        assert "#engineering → #leads" in changed["text"]
        agent = (await person.ask("GET", "/agents"))["agents"][0]
        assert (agent["schedule"], agent["status"]) == ("0 8 * * MON-FRI", "draft")
        steps = (await person.ask("GET", f"/agents/{agent['id']}"))["skills"]
        assert [place["name"] for place in steps[0]["config"]["places"]] == ["acme-operations/storefront"]
        assert steps[0]["config"]["window"] == "all"
        assert "#leads" in str(steps[1]["config"])
        assert not person.sent("slack") or all("chat.postMessage" not in str(r) for r in person.sent("slack"))
