"""Kinds and payloads of the directives affair."""

from dataclasses import dataclass
from typing import Self

from yidao.node.affairs.cores import Core, encode_core
from yidao.node.affairs.directives.rules import Directive, EnergyTarget, Step

ISSUED = "directives.directive.issued"
PASSED_ON = "directives.directive.passed_on"

#: What targets report, by kind.
REPORTS = {f"directives.directive.{step.value}": step for step in Step if step is not Step.PASS_ON}

DOWN_CHANNEL = "down"
UP_CHANNEL = "up:15.urgent"


def kind_of(step: Step) -> str:
    """Give the kind of the record that reports a step."""
    return f"directives.directive.{step.value}"


def object_of(issuer: bytes, number: str) -> str:
    """Give the object name, `directive/<issuer's node id>/<number>`."""
    return f"directive/{issuer.hex()}/{number}"


def issuer_of(object_id: str) -> bytes | None:
    """Give the issuer's node id of an object name; None if it is no directive's."""
    pieces = object_id.split("/")
    if len(pieces) != 3 or pieces[0] != "directive":
        return None
    try:
        issuer = bytes.fromhex(pieces[1])
    except ValueError:
        return None
    return issuer if len(issuer) == 16 and pieces[1] == issuer.hex() else None


def encode_directive(directive: Directive) -> bytes:
    """Write the core of `directives.directive.issued`; without an end it is as it always was."""
    ends = {"expires": directive.expires} if directive.expires else {}
    return encode_core(
        {
            **ends,
            "number": directive.number,
            "title": directive.title,
            "body": directive.body,
            "targets": directive.targets,
            "due": directive.due,
            "parent_directive": directive.parent_directive,
            "energy_targets": [
                {
                    "target": figure.target,
                    "year": figure.year,
                    "indicator": figure.indicator,
                    "base_year": figure.base_year,
                    "base_value": figure.base_value,
                    "change_percent": figure.change_percent,
                    "cap_value": figure.cap_value,
                    "binding": figure.binding,
                }
                for figure in directive.energy_targets
            ],
        }
    )


def decode_directive(data: bytes | None) -> Directive:
    """Read the core of `directives.directive.issued`; raises `CoreMalformed`."""
    core = Core.decode(data)
    return Directive(
        number=core.text("number"),
        title=core.text("title"),
        body=core.text("body"),
        targets=core.texts("targets"),
        due=core.text("due"),
        parent_directive=core.text("parent_directive"),
        expires=core.text("expires"),
        energy_targets=tuple(
            EnergyTarget(
                target=item.text("target"),
                year=item.integer("year"),
                indicator=item.text("indicator"),
                base_year=item.integer("base_year"),
                base_value=item.text("base_value"),
                change_percent=item.text("change_percent"),
                cap_value=item.text("cap_value"),
                binding=item.flag("binding"),
            )
            for item in core.cores("energy_targets")
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Core of what a target reports."""

    percent: int = 0
    note: str = ""

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"percent": self.percent, "note": self.note})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        core = Core.decode(data)
        return cls(percent=min(core.integer("percent"), 100), note=core.text("note"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Core of `directives.directive.passed_on`: the child directive and its targets."""

    child: str
    targets: tuple[str, ...]

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"directive": self.child, "targets": self.targets})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        core = Core.decode(data)
        return cls(child=core.text("directive"), targets=core.texts("targets"))
