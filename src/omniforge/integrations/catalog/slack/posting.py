"""What the posting tools do: messages, replies, direct messages, and changes to our own."""

from __future__ import annotations

from omniforge.integrations.catalog.slack.arguments import (
    OneChannel,
    PostMessage,
    ReplyInThread,
    SendDirectMessage,
    UpdateMessage,
)
from omniforge.integrations.catalog.slack.client import MARKED, Slack
from omniforge.integrations.catalog.slack.mrkdwn import LONGEST_TEXT, escaped, mrkdwn
from omniforge.integrations.catalog.slack.reading import marks_of, place_of
from omniforge.integrations.catalog.slack.shapes import Json, block_words, shown_channel
from omniforge.integrations.errors import RefusedThere, ServiceDown
from omniforge.integrations.loose import mapping, text
from omniforge.integrations.rest import RestClient

Content = PostMessage | ReplyInThread | SendDirectMessage | UpdateMessage


async def post_message(client: RestClient, args: PostMessage) -> Json:
    slack, body = Slack(client), _body(args)
    channel_id, name = await slack.find_channel(args.channel)
    return await _post(slack, channel_id, name, body)


async def reply_in_thread(client: RestClient, args: ReplyInThread) -> Json:
    slack, body = Slack(client), _body(args)
    channel_id, name = await slack.find_channel(args.channel)
    body |= {"thread_ts": args.thread, "reply_broadcast": args.also_in_channel}
    return await _post(slack, channel_id, name, body)


async def send_direct_message(client: RestClient, args: SendDirectMessage) -> Json:
    slack, body = Slack(client), _body(args)
    person_id, name = await slack.find_person(args.person)
    sent = await _post(slack, await slack.direct_channel(person_id), name, body)
    return {**sent, "person": {"id": person_id, "name": name}}


async def update_message(client: RestClient, args: UpdateMessage) -> Json:
    """Changes one of our messages. It keeps the mark it was posted with beside that of the change."""
    slack, body = Slack(client), _body(args)
    channel_id, name = await slack.find_channel(args.channel)
    if args.mark is not None:
        marks = marks_of(await slack.message(channel_id, args.message))
        body["metadata"] = _metadata({**marks, "edit": args.mark})
    answer = await slack.write("chat.update", {"channel": channel_id, "ts": args.message, **body})
    changed = mapping(answer.get("message"))
    return place_of({**changed, "ts": _stamp(answer)}, channel_id, name)


async def join_channel(client: RestClient, args: OneChannel) -> Json:
    """Asking twice does no harm, so a lost answer is simply asked for again."""
    slack = Slack(client)
    channel_id, name = await slack.find_channel(args.channel)
    answer = await slack.write("conversations.join", {"channel": channel_id}, changes=False)
    joined = mapping(answer.get("channel"))
    return {
        "channel": {**shown_channel(joined), "id": channel_id} if joined else {"id": channel_id, "name": name}
    }


def _body(args: Content) -> Json:
    """What is sent, without the place. Links in it are not unfolded: a report would drown in previews."""
    words = mrkdwn(args.text or "") or escaped(block_words(args.blocks))
    if len(words) > LONGEST_TEXT:
        raise RefusedThere(
            f"The message is {len(words)} characters long; Slack takes {LONGEST_TEXT}. Shorten it, "
            "or post a link to the whole text."
        )
    body: Json = {"text": words}
    if args.blocks:
        body["blocks"] = args.blocks
    elif isinstance(args, UpdateMessage):
        body["blocks"] = []  # Slack would go on showing the old ones
    if not isinstance(args, UpdateMessage):
        body |= {"unfurl_links": False, "unfurl_media": False}
        if args.mark is not None:
            body["metadata"] = _metadata({"mark": args.mark})
    return body


def _metadata(marks: dict[str, str]) -> Json:
    return {"event_type": MARKED, "event_payload": marks}


async def _post(slack: Slack, channel_id: str, name: str, body: Json) -> Json:
    answer = await slack.write("chat.postMessage", {"channel": channel_id, **body})
    posted = {**mapping(answer.get("message")), "ts": _stamp(answer)}
    if "thread_ts" in body:
        posted["thread_ts"] = body["thread_ts"]
    return place_of(posted, text(answer.get("channel"), channel_id), name)


def _stamp(answer: Json) -> str:
    stamp = text(answer.get("ts"))
    if not stamp:
        raise ServiceDown(
            "Slack's answer does not say what was posted. I'll look there first.",
            retryable=True,
            outcome_unknown=True,
        )
    return stamp
