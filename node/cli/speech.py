"""The language that the command line speaks: Chinese unless asked otherwise.

Help texts are made when the commands are registered, so the language is
chosen once, before that, from `--lang`, then `YIDAO_LANGUAGE`, then the
locale.
"""

import os
import sys
from typing import Literal

Language = Literal["zh", "en"]


def choose_language(arguments: list[str], environment: dict[str, str]) -> Language:
    """Pick the language from the arguments, the setting, or the locale; Chinese by default."""
    for position, argument in enumerate(arguments):
        if argument.startswith("--lang="):
            return "en" if argument.removeprefix("--lang=") == "en" else "zh"
        if argument == "--lang" and position + 1 < len(arguments):
            return "en" if arguments[position + 1] == "en" else "zh"
    asked = environment.get("YIDAO_LANGUAGE")
    if asked is not None:
        return "en" if asked == "en" else "zh"
    return "en" if environment.get("LANG", "").startswith("en") else "zh"


def language_first(arguments: list[str]) -> list[str]:
    """Move `--lang` in front of the verb, where it is read: people type it at the end."""
    front: list[str] = []
    rest = list(arguments)
    position = 0
    while position < len(rest) and rest[position] != "--":
        if rest[position].startswith("--lang="):
            front.append(rest.pop(position))
        elif rest[position] == "--lang" and position + 1 < len(rest):
            front += [rest.pop(position), rest.pop(position)]
        else:
            position += 1
    return front + rest


LANGUAGE: Language = choose_language(sys.argv[1:], dict(os.environ))


def say(zh: str, en: str) -> str:
    """The text in the chosen language."""
    return zh if LANGUAGE == "zh" else en
