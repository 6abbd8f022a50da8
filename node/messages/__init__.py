"""What a clerk reads when something goes wrong, in Chinese and English.

One catalogue a language, a page for each part of the program, keyed by the
error's stable code: a text that says what happened in the words of the work,
and a hint that says what to do next. A test asks for an entry of every error
class that exists, in both languages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Final

import yaml

from yidao.api.errors import YidaoError

LANGUAGES: Final = ("zh", "en")
_MISSING: Final = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A text for a person.

    Attributes:
        code: The error's stable code, to quote when asking for help.
        text: What happened.
        hint: What to do next.
    """

    code: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a catalogue, with `{name}` where a parameter goes."""

    text: str
    hint: str

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the parameters that text and hint use."""
        pieces = (*Formatter().parse(self.text), *Formatter().parse(self.hint))
        return frozenset(name for _, name, _, _ in pieces if name)


def render(error: YidaoError, language: str = "zh") -> Message:
    """Return what to show for an error; never fails.

    A language that is not there falls back to English, a code that is not there
    to the text of `INTERNAL`, a parameter that is not there to `?`: an error must
    never hide behind an error about its text.
    """
    return message(error.code, error.params, language)


def message(code: str, params: Mapping[str, str | int], language: str = "zh") -> Message:
    """Return what to show for a code, for instance one that another node sent."""
    entries = catalogue(language if language in LANGUAGES else "en")
    entry = entries.get(code, entries["INTERNAL"])
    known = {name: params.get(name, _MISSING) for name in entry.placeholders}
    return Message(code=code, text=entry.text.format_map(known), hint=entry.hint.format_map(known))


@cache
def catalogue(language: str) -> Mapping[str, Entry]:
    """Return all entries of one language, from its files in the order of their names."""
    return {code: entry for page in pages(language).values() for code, entry in page.items()}


def pages(language: str) -> Mapping[str, Mapping[str, Entry]]:
    """Return the entries of one language by the page on which they stand."""
    folder = files(__package__) / language
    return {
        page.name.removesuffix(".yaml"): {
            code: Entry(text=str(fields["text"]), hint=str(fields["hint"]))
            for code, fields in yaml.safe_load(page.read_bytes()).items()
        }
        for page in sorted(folder.iterdir(), key=lambda page: page.name)
    }
