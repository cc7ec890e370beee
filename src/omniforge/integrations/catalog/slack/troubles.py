"""Slack's `ok: false` answers in plain words that say what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from omniforge.integrations.catalog.slack.shapes import Json
from omniforge.integrations.loose import mapping, text
from omniforge.integrations.rest import Answer, Said, Trouble

SIGNED_OUT = Said(Trouble.SIGNED_OUT)
GONE_FOR_GOOD = Said(Trouble.SIGNED_OUT, lasting=True)
DOWN = Said(Trouble.DOWN)


def _forbidden(words: str) -> Said:
    return Said(Trouble.FORBIDDEN, words)


def _missing(words: str) -> Said:
    return Said(Trouble.NOT_FOUND, words)


def _refused(words: str) -> Said:
    return Said(Trouble.REFUSED, words)


NOT_IN_CHANNEL = _forbidden(
    "The app is not in that Slack channel. Invite it there (type /invite and the app's name in the channel), "
    "then try again."
)
ADMIN = _forbidden(
    "The rules of this Slack workspace do not allow that. An admin of the workspace can change them."
)
TOO_LONG = _refused("The message is longer than Slack takes. Shorten it, or post a link to the whole text.")
BLOCKS = _refused(
    "Slack does not accept the blocks of this message. Check them in Slack's Block Kit Builder."
)
SIGN_IN_AGAIN = "Reconnect Slack and agree to it, then try again."

TROUBLES: Mapping[str, Said] = MappingProxyType(
    {
        # signed out: the first two may be cured by a renewed token
        "token_expired": SIGNED_OUT,
        "invalid_auth": SIGNED_OUT,
        "not_authed": SIGNED_OUT,
        "token_revoked": GONE_FOR_GOOD,
        "account_inactive": GONE_FOR_GOOD,
        "user_removed_from_team": GONE_FOR_GOOD,
        "team_access_not_granted": GONE_FOR_GOOD,
        # wait
        "ratelimited": Said(Trouble.SLOW_DOWN),
        "rate_limited": Said(Trouble.SLOW_DOWN),
        "message_limit_exceeded": Said(Trouble.SLOW_DOWN),
        # not allowed
        "not_in_channel": NOT_IN_CHANNEL,
        "no_permission": _forbidden(f"Slack has not allowed the app to do that. {SIGN_IN_AGAIN}"),
        "not_allowed_token_type": _forbidden(
            f"Slack does not allow that with this access: it needs that of an app. {SIGN_IN_AGAIN}"
        ),
        "access_denied": ADMIN,
        "accesslimited": ADMIN,
        "ekm_access_denied": ADMIN,
        "enterprise_is_restricted": ADMIN,
        "org_login_required": ADMIN,
        "restricted_action": ADMIN,
        "restricted_action_read_only_channel": _forbidden(
            "Only some people may post to that Slack channel. Ask its owner to let the app post, "
            "or choose another channel."
        ),
        "restricted_action_thread_only_channel": _forbidden(
            "In that Slack channel only replies in threads are allowed. Reply in a thread, "
            "or choose another channel."
        ),
        "restricted_action_non_threadable_channel": _forbidden(
            "That Slack channel has no threads. Post to the channel itself."
        ),
        "cant_update_message": _forbidden("In Slack the app can change only the messages it posted itself."),
        "edit_window_closed": _forbidden(
            "This Slack workspace does not let messages be changed any more after some time. Post a new one."
        ),
        "cant_dm_bot": _forbidden("Slack does not let apps write to each other. Choose a person."),
        "user_disabled": _forbidden("That person's Slack account was switched off. Choose somebody else."),
        "messages_tab_disabled": _forbidden(
            "The app's settings in Slack do not allow direct messages. Whoever manages the app can switch on "
            "the messages tab."
        ),
        "method_not_supported_for_channel_type": _forbidden(
            "The app cannot join that kind of Slack channel by itself. Somebody in it has to invite the app."
        ),
        # not there
        "channel_not_found": _missing(
            "I can't find that channel in Slack. Check its name; a private channel is seen only after "
            "the app was invited to it."
        ),
        "user_not_found": _missing(
            "I can't find that person in Slack. Check the name or the e-mail address."
        ),
        "users_not_found": _missing(
            "I can't find that person in Slack. Check the name or the e-mail address."
        ),
        "user_not_visible": _missing("Slack does not show that person to the app. Choose somebody else."),
        "thread_not_found": _missing("I can't find that message in Slack any more. Was it deleted?"),
        "message_not_found": _missing("I can't find that message in Slack any more. Was it deleted?"),
        # the state of things
        "is_archived": Said(
            Trouble.CONFLICT,
            "That Slack channel was archived, so nothing can be posted there. Choose another one, "
            "or bring it back in Slack.",
        ),
        "cannot_reply_to_message": Said(
            Trouble.CONFLICT, "Slack allows no replies to that message. Post to the channel itself."
        ),
        # the request
        "msg_too_long": TOO_LONG,
        "msg_blocks_too_long": TOO_LONG,
        "no_text": _refused("Slack posts no empty message. Give the message a text."),
        "invalid_blocks": BLOCKS,
        "invalid_blocks_format": BLOCKS,
        "too_many_attachments": _refused(
            "That is more than one Slack message holds. Send less, or several messages."
        ),
        "metadata_too_large": _refused(
            "What is attached to the message for finding it again is too large for Slack."
        ),
        "invalid_cursor": _refused("Slack lost its place in a long list. Read it again from the start."),
        "invalid_ts_oldest": _refused("Slack does not accept the start of that time. Check it."),
        "invalid_ts_latest": _refused("Slack does not accept the end of that time. Check it."),
        # their side; a change may have happened all the same
        "internal_error": DOWN,
        "fatal_error": DOWN,
        "service_unavailable": DOWN,
        "request_timeout": DOWN,
        "team_added_to_org": DOWN,
    }
)


def read_trouble(answer: Answer) -> Said | None:
    """What an answer means; None for a good one, and for one that is not in Slack's form at all."""
    given = answer.json
    if not isinstance(given, dict):
        return None
    said = mapping(given)
    if said.get("ok") is True:
        return None
    code = text(said.get("error"))
    if not code:  # neither good nor bad: not Slack's answer, whatever the status says
        return DOWN if answer.status < 300 else None
    if code == "missing_scope":
        return _missing_scope(said)
    return TROUBLES.get(code) or _not_known(answer, code)


def _missing_scope(said: Json) -> Said:
    needed = ", ".join(part for part in text(said.get("needed")).split(",") if part)[:200]
    wanted = f" It needs: {needed}." if needed else ""
    return _forbidden(f"Slack has not allowed the app to do that yet.{wanted} {SIGN_IN_AGAIN}")


def _not_known(answer: Answer, code: str) -> Said | None:
    if answer.status >= 300:
        return None
    words = code.replace("_", " ")[:100]
    return _refused(f"Slack did not accept that. It says: {words}.")
