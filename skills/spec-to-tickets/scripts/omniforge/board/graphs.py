"""Questions about graphs of dependencies: is there a cycle, what is the longest way. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def find_cycle(start: Iterable[Node], needs: Callable[[Node], Iterable[Node]]) -> list[Node] | None:
    """A cycle that can be reached from `start` along `needs`, as `[a, …, a]`; None when there is none."""
    done: set[Node] = set()
    for first in start:
        way: list[Node] = []
        on_way: dict[Node, int] = {}
        stack: list[tuple[Node, bool]] = [(first, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                way.pop()
                del on_way[node]
                done.add(node)
            elif node in on_way:
                return [*way[on_way[node] :], node]
            elif node not in done:
                on_way[node] = len(way)
                way.append(node)
                stack.append((node, True))
                stack += [(other, False) for other in needs(node) if other not in done]
    return None


def longest_chain(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The longest chain of dependencies, first to be done first. No cycles; ties go to the smaller names."""
    length: dict[str, int] = {}
    via: dict[str, str | None] = {}
    for first in sorted(needs):
        stack = [first]
        while stack:
            node = stack[-1]
            known = sorted(name for name in needs.get(node, ()) if name in needs)
            if waiting := [name for name in known if name not in length]:
                stack += waiting
                continue
            stack.pop()
            longest = max(known, key=lambda name: length[name], default=None)
            length[node] = 1 + (length[longest] if longest else 0)
            via[node] = longest
    node = max(sorted(length), key=lambda name: length[name], default=None)
    chain: list[str] = []
    while node is not None:
        chain.append(node)
        node = via[node]
    return chain[::-1]
