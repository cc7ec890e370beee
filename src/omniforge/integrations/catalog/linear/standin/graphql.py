"""The GraphQL language as far as Linear's clients need it: operations, and schemas of types. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(
    r"[\s,\ufeff]+|#[^\n]*|(?P<name>[A-Za-z_]\w*)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r'|(?P<block>"""(?:[^"]|"(?!""))*""")|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<mark>\.\.\.|[{}()\[\]:!$=|&@])'
)
DEEPEST = 30
LONGEST = 100_000


class SyntaxProblem(Exception):
    """The text is no GraphQL, in the words GraphQL servers use."""


@dataclass(frozen=True, slots=True)
class Type:
    """`Name`, `[Name]`, each with `!` or without; `of` is what a list is of."""

    name: str = ""
    of: Type | None = None
    required: bool = False

    @property
    def base(self) -> str:
        """The name inside all brackets."""
        return self.of.base if self.of is not None else self.name

    def __str__(self) -> str:
        return f"{f'[{self.of}]' if self.of is not None else self.name}{'!' if self.required else ''}"


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class EnumValue:
    name: str


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    alias: str
    arguments: dict[str, Any]
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """`...Name`, or `... on Type { … }` with its own selections."""

    name: str
    on: str | None = None
    selections: tuple[Selection, ...] = ()


Selection = Field | Spread


@dataclass(frozen=True, slots=True)
class Operation:
    kind: str
    name: str
    variables: dict[str, Type]
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    on: str
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Document:
    operations: dict[str, Operation]
    fragments: dict[str, Fragment]


@dataclass(frozen=True, slots=True)
class FieldType:
    type: Type
    arguments: dict[str, Type]


@dataclass(frozen=True, slots=True)
class Schema:
    """Fields of object types, fields of input types, and values of enums, each by the type's name."""

    types: dict[str, dict[str, FieldType]] = field(default_factory=dict[str, dict[str, FieldType]])
    inputs: dict[str, dict[str, Type]] = field(default_factory=dict[str, dict[str, Type]])
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


class Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise SyntaxProblem("Syntax Error: Document is too large.")
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                raise SyntaxProblem(f'Syntax Error: Unexpected character: "{text[at]}".')
            if found.lastgroup:
                self._tokens.append((found.lastgroup, found.group()))
            at = found.end()
        self._at = 0

    @property
    def ahead(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>"

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "end"

    @property
    def is_done(self) -> bool:
        return self._at >= len(self._tokens)

    def take(self, mark: str) -> bool:
        if self.ahead != mark or self._kind in ("string", "block"):
            return False
        self._at += 1
        return True

    def need(self, mark: str) -> None:
        if not self.take(mark):
            raise SyntaxProblem(f'Syntax Error: Expected "{mark}", found "{self.ahead}".')

    def name(self) -> str:
        if self._kind != "name":
            raise SyntaxProblem(f'Syntax Error: Expected Name, found "{self.ahead}".')
        self._at += 1
        return self._tokens[self._at - 1][1]

    def skip_description(self) -> None:
        while self._kind in ("string", "block"):
            self._at += 1

    def type(self) -> Type:
        if self.take("["):
            inner = self.type()
            self.need("]")
            return Type(of=inner, required=self.take("!"))
        return Type(self.name(), required=self.take("!"))

    def value(self, depth: int = 0) -> Any:
        if depth > DEEPEST:
            raise SyntaxProblem("Syntax Error: Too deeply nested.")
        if self.take("$"):
            return Variable(self.name())
        if self.take("["):
            listed: list[Any] = []
            while not self.take("]"):
                listed.append(self.value(depth + 1))
            return listed
        if self.take("{"):
            made: dict[str, Any] = {}
            while not self.take("}"):
                key = self.name()
                self.need(":")
                made[key] = self.value(depth + 1)
            return made
        kind, token = self._kind, self.ahead
        self._at += 1
        match kind:
            case "number" | "string":
                return _literal(token)
            case "block":
                return token[3:-3].strip()
            case "name":
                return {"true": True, "false": False, "null": None}.get(token, EnumValue(token))
            case _:
                raise SyntaxProblem(f'Syntax Error: Unexpected "{token}".')


def _literal(token: str) -> Any:
    try:
        return json.loads(token)
    except ValueError:
        raise SyntaxProblem(f"Syntax Error: Invalid character escape sequence: {token[:40]}.") from None


def parse(text: str) -> Document:
    """The operations and fragments of a request; SyntaxProblem says what is wrong."""
    reader, operations, fragments = Reader(text), dict[str, Operation](), dict[str, Fragment]()
    while not reader.is_done:
        if reader.ahead == "{":
            operations[""] = Operation("query", "", {}, _selections(reader))
        elif reader.take("fragment"):
            name = reader.name()
            reader.need("on")
            fragments[name] = Fragment(reader.name(), _selections(reader))
        else:
            operation = _operation(reader)
            operations[operation.name] = operation
    if not operations:
        raise SyntaxProblem("Syntax Error: Unexpected <EOF>.")
    return Document(operations, fragments)


def _operation(reader: Reader) -> Operation:
    kind = reader.name()
    if kind not in ("query", "mutation"):
        raise SyntaxProblem(f'Syntax Error: Unexpected Name "{kind}".')
    name = reader.name() if reader.ahead not in ("(", "{") else ""
    variables: dict[str, Type] = {}
    if reader.take("("):
        while not reader.take(")"):
            reader.need("$")
            variable = reader.name()
            reader.need(":")
            variables[variable] = reader.type()
    return Operation(kind, name, variables, _selections(reader))


def _selections(reader: Reader, depth: int = 0) -> tuple[Selection, ...]:
    if depth > DEEPEST:
        raise SyntaxProblem("Syntax Error: Too deeply nested.")
    reader.need("{")
    found: list[Selection] = []
    while not reader.take("}"):
        if reader.take("..."):
            if reader.take("on"):
                found.append(Spread("", reader.name(), _selections(reader, depth + 1)))
            else:
                found.append(Spread(reader.name()))
        else:
            found.append(_field(reader, depth))
    return tuple(found)


def _field(reader: Reader, depth: int) -> Field:
    alias = name = reader.name()
    if reader.take(":"):
        name = reader.name()
    arguments: dict[str, Any] = {}
    if reader.take("("):
        while not reader.take(")"):
            argument = reader.name()
            reader.need(":")
            arguments[argument] = reader.value()
    inside = _selections(reader, depth + 1) if reader.ahead == "{" else ()
    return Field(name, alias, arguments, inside)


def parse_schema(text: str) -> Schema:
    """A schema in GraphQL's own language: `type`, `input`, `enum`; what is nothing else is a scalar."""
    reader, schema = Reader(text), Schema()
    while not reader.is_done:
        reader.skip_description()
        kind, name = reader.name(), reader.name()
        reader.need("{")
        while not reader.take("}"):
            reader.skip_description()
            member = reader.name()
            if kind == "enum":
                schema.enums[name] = (*schema.enums.get(name, ()), member)
                continue
            arguments: dict[str, Type] = {}
            if reader.take("("):
                while not reader.take(")"):
                    argument = reader.name()
                    reader.need(":")
                    arguments[argument] = reader.type()
            reader.need(":")
            if kind == "input":
                schema.inputs.setdefault(name, {})[member] = reader.type()
            else:
                schema.types.setdefault(name, {})[member] = FieldType(reader.type(), arguments)
    return schema
