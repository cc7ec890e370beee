"""Answers as models really give them when JSON was asked for: what was meant, and what was said."""

from __future__ import annotations

import json
from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "amount": {"type": "number"},
        "count": {"type": "integer"},
        "paid": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "status": {"type": "string", "enum": ["open", "closed"]},
        "person": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "email": {"type": ["string", "null"]}},
            "required": ["name"],
        },
    },
    "required": ["title", "amount"],
}
PLAIN = {"title": "Rent", "amount": 950.5}
FULL = {
    "title": 'The "blue" house',
    "amount": 12,
    "count": 3,
    "paid": True,
    "tags": ["a", "b"],
    "status": "open",
    "person": {"name": "Zoë Müller", "email": None},
}
TEXT = json.dumps(PLAIN)
LONG = json.dumps(FULL, ensure_ascii=False, indent=2)

GARBAGE: list[tuple[dict[str, Any], str]] = [
    # as it should be
    (PLAIN, TEXT),
    (FULL, LONG),
    (PLAIN, f"\n\n  {TEXT}\n"),
    # fences
    (PLAIN, f"```json\n{TEXT}\n```"),
    (FULL, f"```\n{LONG}\n```"),
    (PLAIN, f"```JSON {TEXT}```"),
    (PLAIN, f"Sure, here you go:\n\n```json\n{TEXT}\n```\n\nLet me know if you need more."),
    (PLAIN, f"```json\n{TEXT}"),
    (PLAIN, f"{TEXT}\n```"),
    (PLAIN, f'```json\n{{"title": "wrong", "amount": 1}}\n```\nNo, wait:\n```json\n{TEXT}\n```'),
    # prose around
    (PLAIN, f"The answer is {TEXT}"),
    (PLAIN, f"{TEXT} is what I found."),
    (FULL, f"Here is what I read in the letter.\n{LONG}\nI hope this helps!"),
    (PLAIN, f"I used {{braces}} before. Result: {TEXT}"),
    (PLAIN, f"<answer>{TEXT}</answer>"),
    (PLAIN, f"<think>Rent is 950.5, so amount is that.</think>\n{TEXT}"),
    (PLAIN, f"Result = {TEXT};"),
    (PLAIN, f"**Answer**\n\n{TEXT}\n\n---\n*Confidence: high*"),
    (PLAIN, f"> {TEXT}"),
    # commas
    (PLAIN, '{"title": "Rent", "amount": 950.5,}'),
    (PLAIN, '{"title": "Rent" "amount": 950.5}'),
    (PLAIN, '{"title": "Rent",, "amount": 950.5}'),
    (PLAIN, '{"title": "Rent"\n"amount": 950.5\n}'),
    (FULL, LONG.replace('"b"\n  ]', '"b",\n  ]')),
    (FULL, LONG.replace("],", "]")),
    # quotes
    (PLAIN, "{'title': 'Rent', 'amount': 950.5}"),
    (PLAIN, "{title: 'Rent', amount: 950.5}"),
    (PLAIN, '{title: "Rent", amount: 950.5}'),
    (PLAIN, "{“title”: “Rent”, “amount”: 950.5}"),
    (PLAIN, '{"title: "Rent", "amount": 950.5}'),
    (PLAIN, '{"title": Rent, "amount": 950.5}'),
    ({"title": 'say "hi" now', "amount": 1}, '{"title": "say "hi" now", "amount": 1}'),
    ({"title": "it's", "amount": 1}, '{"title": "it\'s", \'amount\': 1}'),
    # literals
    ({**PLAIN, "paid": True}, '{"title": "Rent", "amount": 950.5, "paid": True}'),
    ({**PLAIN, "paid": False}, "{'title': 'Rent', 'amount': 950.5, 'paid': False}"),
    (
        {**PLAIN, "person": {"name": "A", "email": None}},
        '{"title": "Rent", "amount": 950.5, "person": {"name": "A", "email": None}}',
    ),
    # comments
    (PLAIN, '{"title": "Rent", // what it is for\n "amount": 950.5}'),
    (PLAIN, '{"title": "Rent", /* what */ "amount": 950.5}'),
    (PLAIN, '{\n# the title\n"title": "Rent",\n"amount": 950.5}'),
    # half finished, though the model says it is done
    (PLAIN, '{"title": "Rent", "amount": 950.5'),
    (PLAIN, '{"title": "Rent", "amount": 950.5,'),
    (FULL, LONG.removesuffix("\n}")),
    (FULL, LONG.removesuffix("\n  }\n}")),
    ({**PLAIN, "tags": ["a"]}, '{"title": "Rent", "amount": 950.5, "tags": ["a"'),
    ({**PLAIN, "tags": ["a"]}, '{"title": "Rent", "amount": 950.5, "tags": ["a'),
    (PLAIN, f"{TEXT}}}"),
    (PLAIN, f"{TEXT}]}}"),
    # text inside
    ({"title": "a\nb", "amount": 1}, '{"title": "a\nb", "amount": 1}'),
    ({"title": "a\tb", "amount": 1}, '{"title": "a\tb", "amount": 1}'),
    ({"title": "C:\\dir", "amount": 1}, '{"title": "C:\\\\dir", "amount": 1}'),
    ({"title": "naïve 東京 🙂", "amount": 1}, '{"title": "naïve 東京 🙂", "amount": 1}'),
    # form of values
    (PLAIN, '{"title": "Rent", "amount": "950.5"}'),
    ({**PLAIN, "count": 3}, '{"title": "Rent", "amount": 950.5, "count": 3.0}'),
    ({**PLAIN, "count": 3}, '{"title": "Rent", "amount": 950.5, "count": "3"}'),
    ({**PLAIN, "paid": True}, '{"title": "Rent", "amount": 950.5, "paid": "yes"}'),
    ({**PLAIN, "status": "open"}, '{"title": "Rent", "amount": 950.5, "status": "Open"}'),
    ({**PLAIN, "tags": ["a"]}, '{"title": "Rent", "amount": 950.5, "tags": "a"}'),
    ({"title": "7", "amount": 1}, '{"title": 7, "amount": 1}'),
    # wrapped
    (PLAIN, json.dumps(TEXT)),
    (PLAIN, f"[{TEXT}]"),
    (PLAIN, f'{{"answer": {TEXT}}}'),
    (PLAIN, f'{{"result": {TEXT}}}'),
    (PLAIN, f'{{"name": "final_result", "arguments": {TEXT}}}'),
    (PLAIN, json.dumps({"name": "final_result", "arguments": TEXT})),
    (PLAIN, f'{{"answer": {TEXT}, "confidence": 0.9}}'),
    (PLAIN, f"final_result({TEXT})"),
    # several
    (PLAIN, f'{{"thought": "it is rent"}}\n{TEXT}'),
    (PLAIN, f"{TEXT}\n{TEXT}"),
    # byte order mark and other dirt
    (PLAIN, f"\ufeff{TEXT}"),
    (PLAIN, f"json\n{TEXT}"),
    (PLAIN, f"\u200b{TEXT}"),
    (PLAIN, TEXT.replace(" ", "\u00a0")),
]
HOPELESS = [
    "",
    "I could not find it.",
    "{}",
    "null",
    "[]",
    '{"title": "Rent"}',
    '{"title": "Rent", "amount": "a lot"}',
    "title is Rent",
    '{"title": "Rent", "amount": NaN}',
    "<html><body>502</body></html>",
    "[" * 50_000,
    '{"a":' * 20_000,
]
