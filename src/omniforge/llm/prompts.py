"""Prompts are files: Markdown with declared variables. What people and services wrote is put in as data."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_HEAD = re.compile(r"\A<!-- variables:(?P<names>[a-z_, ]*)-->\n")
_VARIABLE = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text and the variables it declares in its first line, `<!-- variables: a, b -->`."""

    name: str
    text: str
    variables: frozenset[str]

    def filled(self, **values: str) -> str:
        """The text with every variable put in, in one pass: what is put in is not looked at again."""
        if frozenset(values) != self.variables:
            given, wanted = sorted(values), sorted(self.variables)
            raise ValueError(f"prompt {self.name}: wants the variables {wanted}, was given {given}")
        return _VARIABLE.sub(lambda match: values[match[1]], self.text)


@cache
def load_prompt(package: str, name: str) -> Prompt:
    """The prompt `prompts/<name>.md` of a package; its text uses what it declares and nothing else."""
    raw = (resources.files(package) / "prompts" / f"{name}.md").read_text(encoding="utf-8")
    head = _HEAD.match(raw)
    if head is None:
        raise ValueError(f"prompt {name}: its first line does not declare its variables")
    declared = frozenset(part.strip() for part in head["names"].split(",") if part.strip())
    text = raw[head.end() :].strip()
    if frozenset(_VARIABLE.findall(text)) != declared:
        raise ValueError(f"prompt {name}: declared and used variables differ")
    return Prompt(name, text, declared)


def spotlight(text: str, origin: str) -> str:
    """Text from elsewhere as marked data. The mark is made from the text, so that the text cannot hold its
    own end; equal texts give equal marks, which keeps the front of a prompt the same between calls.

    Source: Hines et al., "Defending Against Indirect Prompt Injection Attacks With Spotlighting" (2024).
    """
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    while mark in text:  # only where somebody has searched for it
        mark = hashlib.sha256(mark.encode()).hexdigest()[:12]
    plain = "".join(c for c in origin if c.isalnum() or c in " .:_-")[:80]
    return f'<data origin="{plain}" mark="{mark}">\n{text}\n</data {mark}>'
