"""What was said between the agent and the model: kept on disk, with the oldest outputs left out first."""

from __future__ import annotations

import json
from typing import Any

from sandbox_kit.worker.state import State

Json = dict[str, Any]
SMALL = 300
"""Characters of an output that is not worth leaving out."""
KEPT = 3
"""Outputs that are left out last."""
AIM = 0.6
"""Part of the room that is used after outputs were left out, so that it is not done every turn."""
RESTARTED = "The work was restarted here. Whether this was done is not known: look before you repeat it."


class Conversation:
    """`messages`: `{role: user|assistant|tool, text}`, an assistant's also with `calls: [{id, name, input}]`,
    a tool's with `call_id`, `name`, `ok`. The figures are those of all turns together."""

    def __init__(self, state: State, room: int) -> None:
        self._state, self.room = state, room
        kept: Json = state.load("conversation", {})
        self.messages: list[Json] = kept.get("messages", [])
        self.turns: int = kept.get("turns", 0)
        self.tokens_in: int = kept.get("tokens_in", 0)
        self.tokens_out: int = kept.get("tokens_out", 0)
        self.cost: float = kept.get("cost", 0.0)
        self.answer_open_calls(RESTARTED)

    def hear(self, text: str) -> None:
        """People, and we ourselves."""
        self._add({"role": "user", "text": text})

    def answered(self, turn: Json) -> list[Json]:
        """One answer of the model; the calls it makes."""
        usage: Json = turn.get("usage") or {}
        self.turns += 1
        self.tokens_in += int(usage.get("tokens_in") or 0)
        self.tokens_out += int(usage.get("tokens_out") or 0)
        self.cost += float(turn.get("cost_usd") or 0.0)
        calls: list[Json] = turn.get("calls") or []
        self._add({"role": "assistant", "text": str(turn.get("text") or ""), "calls": calls})
        return calls

    def told(self, call: Json, output: str, *, ok: bool) -> None:
        """The result of a call."""
        about = {"call_id": call["id"], "name": call["name"], "ok": ok}
        self._add({"role": "tool", "text": output, **about})

    def answer_open_calls(self, text: str) -> None:
        """Every call gets a result, also where it was never made."""
        told = {one["call_id"] for one in self.messages if one["role"] == "tool"}
        open_calls = [
            call for one in self.messages for call in one.get("calls", ()) if call["id"] not in told
        ]
        for call in open_calls:
            self.told(call, text, ok=False)

    def fit(self, room: int | None = None) -> None:
        """Leave out the oldest outputs until the rest has room."""
        self.room = self.room if room is None else room
        if self.size() <= self.room:
            return
        outputs = [one for one in self.messages if one["role"] == "tool"]
        early, late = outputs[:-KEPT], outputs[-KEPT:]
        for one in [*early, *late]:
            if self.size() <= self.room * AIM:
                break
            if len(one["text"]) > SMALL:
                one["text"] = f"[an output of {len(one['text'])} characters was left out to save room]"
        self._keep()

    def size(self) -> int:
        return sum(len(one["text"]) + len(json.dumps(one.get("calls", ""))) for one in self.messages)

    def _add(self, message: Json) -> None:
        self.messages.append(message)
        self._keep()

    def _keep(self) -> None:
        names = ("messages", "turns", "tokens_in", "tokens_out", "cost")
        self._state.keep("conversation", {name: getattr(self, name) for name in names})
