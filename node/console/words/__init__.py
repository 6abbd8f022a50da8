"""Every text of the console, in Chinese and English, by area and name.

One page an area, the same keys in the same order in both languages; a test
holds that, and that each text is used. Pages of the console hold no text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import yaml

from yidao.catalog.pack.model import Text

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of one language: `words("due.title")`."""

    language: Language

    def __call__(self, key: str, /, **values: str | int) -> str:
        """Give a text with its `{name}` places filled.

        Raises:
            KeyError: There is no such text; a test looks for each that is asked for.
        """
        text = catalogue(self.language)[key]
        return text.format_map(values) if values else text

    def named(self, area: str, value: str) -> str:
        """Give what people call a value of a closed set, such as a state; else the value."""
        return catalogue(self.language).get(f"{area}.{value}", value)

    def of(self, text: Text) -> str:
        """Pick this language from a text of a pack."""
        return text.zh if self.language == "zh" else text.en


def language_of(value: str | None) -> Language:
    """Read a language as a browser sends it; Chinese unless it is English."""
    return "en" if value == "en" else "zh"


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Give all texts of one language by `area.name`."""
    folder = files(__package__) / language
    pages = sorted((page for page in folder.iterdir()), key=lambda page: page.name)
    return {
        f"{page.name.removesuffix('.yaml')}.{name}": str(text)
        for page in pages
        for name, text in yaml.safe_load(page.read_bytes()).items()
    }
