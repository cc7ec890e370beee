"""Posts the text of an earlier step to a Slack channel: in full, or a summary, with or without a link."""

import re

from sandbox_kit.messages import ELSEWHERE, fitted, shortened
from sandbox_kit.skill import Refused, call, log, run

TEXTS = ("report", "text", "message", "summary")  # the fullest first
CONTENTS = {
    "full": "full",
    "a": "full",
    "summary": "summary",
    "b": "summary",
    "summary_and_link": "summary_and_link",
    "summary_link": "summary_and_link",
    "c": "summary_and_link",
}
ROOM = 38_000  # characters; Slack takes 40,000, and escaped ones count as what they become


def main(request):
    config, given = request.config, request.input
    channel, content = channel_of(config), content_of(config)
    whole = text_of(given)
    if given.get("items") == 0 and config.get("post_empty") is not True:
        output = {"text": "", "channel": channel, "posted": False, "message": None, "link": None}
        message = "There was nothing to post."
        return {"output": {"report": whole, **output}, "message": message, "status": "empty"}
    link = link_of(given, config) if content == "summary_and_link" else None
    words = whole if content == "full" else summary_of(given, whole)
    message = fitted([*heading(config), words, *ending(content, link)], ROOM)
    posted = call("slack.post_message", channel=channel, text=message)
    return {
        "output": {
            "report": whole,
            "text": message,
            "channel": posted["channel"]["name"],
            "posted": True,
            "message": posted["id"],
            "link": link,
        },
        "message": f"Posted to {channel}.",
    }


# --- settings -----------------------------------------------------------------------------------------------


def channel_of(config):
    """The channel's name or id; a channel as it was chosen will do."""
    given = config.get("channel")
    if isinstance(given, dict):
        given = given.get("name") or given.get("id")
    if not isinstance(given, str) or not given.strip():
        raise Refused("Say where to post: the setting `channel` must be a channel such as #team-updates.")
    return given.strip()


def content_of(config):
    given = config.get("content") or "full"
    words = re.sub(r"[\s_+&-]+", "_", str(given).strip().lower())
    if words not in CONTENTS:
        known = "full, summary, summary_and_link"
        raise Refused(f"The content {str(given)[:80]!r} is not known. It can be {known}.")
    return CONTENTS[words]


def heading(config):
    title = config.get("title")
    if title is not None and not isinstance(title, str):
        raise Refused("The setting `title` must be a text.")
    return [f"# {title.strip()}"] if title and title.strip() else []


def link_of(given, config):
    """An address people can open, or None."""
    for one in (given.get("link"), given.get("url"), config.get("link")):
        if isinstance(one, str) and re.fullmatch(r"https?://[^\s<>()|]+", one.strip()):
            return one.strip()
    log("There is no address of the whole report; the message says that it is in the inbox.")
    return None


# --- the message --------------------------------------------------------------------------------------------


def text_of(given):
    for key in TEXTS:
        if isinstance(given.get(key), str) and given[key].strip():
            return given[key].strip()
    found = ", ".join(sorted(given)) or "nothing"
    raise Refused(f"The step before must give `report`, `text`, `message` or `summary`. It gave {found}.")


def summary_of(given, whole):
    summary = given.get("summary")
    return summary.strip() if isinstance(summary, str) and summary.strip() else shortened(whole)


def ending(content, link):
    if content != "summary_and_link":
        return []
    return [f"[Whole report]({link})" if link else ELSEWHERE]


run(main)
