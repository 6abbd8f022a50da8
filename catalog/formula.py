"""Arithmetic of packs: weighted sums of a row, ratios of totals; exact, and bounded.

The language is `+ - * /`, parentheses, decimal literals and dotted names
("consumption.water_m3"), nothing else. Values are `Fraction`s, so no step
rounds; the caller rounds once, at the end.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from yidao.catalog.errors import PackInvalid

_MAX_CHARS = 2_000
_MAX_DEPTH = 32
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)|(?P<number>[0-9]{1,15}(?:\.[0-9]{1,15})?)"
    r"|(?P<sign>[-+*/()]))"
)


@dataclass(frozen=True, slots=True)
class _Number:
    value: Fraction


@dataclass(frozen=True, slots=True)
class _Name:
    name: str


@dataclass(frozen=True, slots=True)
class _Operation:
    sign: str
    left: "_Node"
    right: "_Node"


_Node = _Number | _Name | _Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A parsed formula.

    Attributes:
        names: Every name in it, sorted.
    """

    names: tuple[str, ...]
    _root: _Node

    @classmethod
    def parse(cls, text: str, at: str = "formula") -> "Formula":
        """Read a formula.

        Raises:
            PackInvalid: It is no formula of this language, too long or too deep.
        """
        parser = _Parser(text, at)
        root = parser.whole()
        return cls(names=tuple(sorted(parser.names)), _root=root)

    def value(self, lookup: Callable[[str], Fraction | None]) -> Fraction | None:
        """Compute it; None where a name has no value or a divisor is zero."""
        return _value(self._root, lookup)

    def weights(self, constants: Mapping[str, Fraction]) -> Mapping[str, Fraction] | None:
        """Give the weight of each name that is no constant, or None if it is no weighted sum."""
        linear = _linear(self._root, constants)
        if linear is None or linear.pop("", Fraction(0)) != 0:
            return None
        return linear


class _Parser:
    """Recursive descent: sum > product > sign > atom."""

    def __init__(self, text: str, at: str) -> None:
        self._at = at
        self.names: set[str] = set()
        if len(text) > _MAX_CHARS:
            raise self._refusal("formula_too_long")
        self._tokens = self._split(text.rstrip())
        self._next = 0

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, place = [], 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise self._refusal("formula_character")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        return tokens

    def _refusal(self, reason: str) -> PackInvalid:
        return PackInvalid(at=self._at, reason=reason)

    def _peek(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def whole(self) -> _Node:
        node = self._sum(0)
        if self._next != len(self._tokens):
            raise self._refusal("formula_syntax")
        return node

    def _sum(self, depth: int) -> _Node:
        node = self._product(depth)
        while self._peek() in ("+", "-"):
            sign = self._draw()[1]
            node = _Operation(sign, node, self._product(depth))
        return node

    def _product(self, depth: int) -> _Node:
        node = self._atom(depth)
        while self._peek() in ("*", "/"):
            sign = self._draw()[1]
            node = _Operation(sign, node, self._atom(depth))
        return node

    def _draw(self) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            raise self._refusal("formula_syntax")
        self._next += 1
        return self._tokens[self._next - 1]

    def _atom(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise self._refusal("formula_too_deep")
        group, symbol = self._draw()
        if group == "number":
            return _Number(Fraction(symbol))
        if group == "name":
            self.names.add(symbol)
            return _Name(symbol)
        if symbol == "-":
            return _Operation("-", _Number(Fraction(0)), self._atom(depth + 1))
        if symbol != "(":
            raise self._refusal("formula_syntax")
        node = self._sum(depth + 1)
        if self._draw()[1] != ")":
            raise self._refusal("formula_syntax")
        return node


def _value(node: _Node, lookup: Callable[[str], Fraction | None]) -> Fraction | None:
    if isinstance(node, _Number):
        return node.value
    if isinstance(node, _Name):
        return lookup(node.name)
    left, right = _value(node.left, lookup), _value(node.right, lookup)
    if left is None or right is None or (node.sign == "/" and right == 0):
        return None
    if node.sign == "+":
        return left + right
    if node.sign == "-":
        return left - right
    return left * right if node.sign == "*" else left / right


def _linear(node: _Node, constants: Mapping[str, Fraction]) -> dict[str, Fraction] | None:
    """Give {name: weight}; the constant term stands under the empty name."""
    if isinstance(node, _Number):
        return {"": node.value}
    if isinstance(node, _Name):
        return {"": constants[node.name]} if node.name in constants else {node.name: Fraction(1)}
    left, right = _linear(node.left, constants), _linear(node.right, constants)
    if left is None or right is None:
        return None
    if node.sign in ("+", "-"):
        turned = right if node.sign == "+" else {name: -weight for name, weight in right.items()}
        return {
            name: left.get(name, Fraction(0)) + turned.get(name, Fraction(0))
            for name in (*left, *(name for name in turned if name not in left))
        }
    if node.sign == "*" and set(left) <= {""}:
        left, right = right, left
    if not set(right) <= {""}:
        return None
    scalar = right.get("", Fraction(0))
    if node.sign == "/":
        if scalar == 0:
            return None
        scalar = 1 / scalar
    return {name: weight * scalar for name, weight in left.items()}
