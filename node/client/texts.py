"""What an error code means and what to do, in Chinese and English."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

#: Faults of rows say what is wrong in full; what to do is the same for all.
_FAULT_HINTS: Final[Mapping[str, str]] = {
    "zh": "请改正该字段，然后重新提交这一行。",
    "en": "Correct the field and hand the row in again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is said of a code; `{name}` stands where an error has a parameter.

    Attributes:
        text: What happened.
        hint: What to do next.
        params: Names of the parameters.
    """

    code: str
    text: str
    hint: str
    params: tuple[str, ...]


def explain(code: str, language: str = "zh") -> Explanation | None:
    """Give what a code means; None if there is no such code.

    Args:
        code: As errors and faults bear it, `KEY_REUSED`.
        language: `zh` or `en`; English for any other.
    """
    found = {each.code: each for each in explanations(language)}
    return found.get(code)


def explanations(language: str = "zh") -> tuple[Explanation, ...]:
    """Give every code there is, by the alphabet: of errors, and of faults of rows."""
    from yidao.catalog.faults import TEXTS
    from yidao.node.messages import LANGUAGES, catalogue

    known = language if language in LANGUAGES else "en"
    errors = [
        Explanation(
            code=code, text=entry.text, hint=entry.hint, params=tuple(sorted(entry.placeholders))
        )
        for code, entry in catalogue(known).items()
    ]
    codes = {each.code for each in errors}
    faults = [
        _fault(code, text.zh if known == "zh" else text.en, known)
        for code, text in TEXTS.items()
        if code not in codes
    ]
    return tuple(sorted((*errors, *faults), key=lambda each: each.code))


def _fault(code: str, text: str, language: str) -> Explanation:
    names = {name for _, name, _, _ in Formatter().parse(text) if name}
    return Explanation(
        code=code, text=text, hint=_FAULT_HINTS[language], params=tuple(sorted(names))
    )
