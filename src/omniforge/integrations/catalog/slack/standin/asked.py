"""One call of a Slack method: its arguments, what may be done, and Slack's way to refuse and to page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, TypeVar

from omniforge.integrations import standin
from omniforge.integrations.catalog.slack.shapes import moment_of
from omniforge.integrations.catalog.slack.standin.state import StandinState
from omniforge.integrations.catalog.slack.standin.workspace import Channel, Json, Message, Person
from omniforge.integrations.standin import Refusal

T = TypeVar("T")


class NotOk(Refusal):
    """`ok: false` with a code; `about` are further fields of the answer."""

    def __init__(self, code: str, **about: Any) -> None:
        super().__init__(200, code, code)
        self.about: Json = about


class Asked:
    """A call with its arguments: query, form or JSON, as Slack takes either."""

    def __init__(self, call: standin.Call[StandinState]) -> None:
        self.grant, self.happened = call.grant, call.happened
        self.workspace = call.state.workspace_of(call.grant.account)
        self.args: Json = {**dict(call.request.query_params), **call.body}
        content = call.request.headers.get("content-type", "")
        self.without_charset = content.startswith("application/json") and "charset" not in content

    def text(self, name: str) -> str:
        value = self.args.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("1", "true")

    def require(self, *scopes: str) -> None:
        """One of these scopes has to be there; keys and sample tokens may do everything."""
        granted = self.grant.scopes
        if granted and not set(scopes) & set(granted):
            raise NotOk("missing_scope", needed=scopes[0], provided=",".join(granted))

    # --- what is meant

    def channel(self, *, by_name: bool = False) -> Channel:
        """The channel argument; private ones the app is not in do not exist for it."""
        given = self.text("channel")
        workspace = self.workspace
        if not by_name and given.startswith("#") and not workspace.like:
            raise NotOk("channel_not_found")
        channel = workspace.channel(given)
        hidden = channel is not None and channel.private and workspace.app.id not in channel.members
        if channel is None or hidden:
            raise NotOk("channel_not_found")
        return channel

    def readable_channel(self) -> Channel:
        channel = self.channel()
        kind = "im" if channel.direct_to else "groups" if channel.private else "channels"
        self.require(f"{kind}:history")
        if self.workspace.app.id not in channel.members:
            raise NotOk("not_in_channel")
        return channel

    def person(self, given: str) -> Person:
        person = self.workspace.person(given) if given else None
        if person is None or (given not in (person.id, person.email) and not self.workspace.like):
            raise NotOk("user_not_found")
        return person

    # --- windows and pages

    def window(self, messages: Sequence[Message]) -> list[Message]:
        """Those between `oldest` and `latest`; the borders themselves only when `inclusive`."""
        oldest, latest = self._border("oldest"), self._border("latest")
        inclusive = self.flag("inclusive")

        def inside(message: Message) -> bool:
            at = _number(message.ts)
            if inclusive and at in (oldest, latest):
                return True
            return (oldest is None or at > oldest) and (latest is None or at < latest)

        return [message for message in messages if inside(message)]

    def _border(self, name: str) -> int | None:
        given = self.text(name)
        if not given:
            return None
        if moment_of(given if "." in given else f"{given}.0") is None:
            raise NotOk(f"invalid_ts_{name}")
        return _number(given)

    def limit(self, default: int, most: int) -> int:
        try:
            wanted = int(self.text("limit") or default)
        except ValueError:
            raise NotOk("invalid_limit") from None
        if wanted > most or wanted < 0:
            raise NotOk("invalid_limit")
        return wanted or default

    def page(self, results: Sequence[T], default: int = 100, most: int = 1000) -> tuple[list[T], str]:
        """As many as asked for from the cursor on, and the next cursor; empty at the end."""
        count, given = self.limit(default, most), self.text("cursor")
        try:
            start = int(base64.b64decode(given, validate=True).decode().removeprefix("next:")) if given else 0
        except ValueError:
            raise NotOk("invalid_cursor") from None
        if start and not 0 < start < len(results):
            raise NotOk("invalid_cursor")
        end = start + count
        following = base64.b64encode(f"next:{end}".encode()).decode() if end < len(results) else ""
        return list(results[start:end]), following


def _number(ts: str) -> int:
    """Microseconds, to compare by."""
    seconds, _, rest = ts.partition(".")
    return int(seconds) * 1_000_000 + int(rest.ljust(6, "0")[:6] or "0")
