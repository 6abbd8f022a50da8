"""Finds out which column of a sheet is which field, and which form a sheet is.

A heading may be a field's name or its label in Chinese or English, today's or
that of any other version of the form: one file may hold periods that are
judged by different versions. A label that two fields of a form share names
neither of them.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yidao.catalog.pack.model import Form
from yidao.node.intake.errors import HeaderAmbiguous, KeyColumnMissing

#: Titles, units and notes may stand above the headings; this many lines are looked at.
HEADER_SEARCH_ROWS = 20
# A unit in brackets at the end: 建筑面积(m²). NFKC has made full-width brackets plain.
_TRAILING_NOTE = re.compile(r"\([^()]*\)$")
# So many headings of one form are no accident: the sheet is meant, and lacks its key.
_SURELY_MEANT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMatch:
    """One sheet understood.

    Attributes:
        columns: Field name to column, from 1.
        unmatched: Headings that name no field.
    """

    form_id: str
    row_number: int
    columns: Mapping[str, int]
    unmatched: tuple[str, ...]


class HeaderIndex:
    """All headings that a set of forms answers to."""

    def __init__(self, forms: Sequence[Form]) -> None:
        """Index the forms; several versions of one form count as one form."""
        self._keys: dict[str, tuple[str, ...]] = {}
        self._titles: dict[str, str] = {}
        self._labels: dict[str, dict[str, str | None]] = {}
        for form in forms:
            self._keys[form.id] = form.key
            for title in (form.id, form.title.zh, form.title.en):
                self._titles[_plain(title)] = form.id
            self._add_labels(form)

    def _add_labels(self, form: Form) -> None:
        labels = self._labels.setdefault(form.id, {})
        names = [*form.fields, *form.retired]
        for field in form.fields.values():
            for text in (field.label.zh, field.label.en, *field.formerly):
                _claim(labels, _plain(text), field.name)
        for retired in form.retired.values():
            for text in (retired.label.zh, retired.label.en):
                _claim(labels, _plain(text), retired.name)
        labels.update({name: name for name in names})

    def match(self, sheet: str, row_number: int, titles: Sequence[str]) -> HeaderMatch | None:
        """Read one line as headings.

        Returns:
            The form that fits best, or None if the line is no heading line.

        Raises:
            HeaderAmbiguous: Two columns claim one field.
            KeyColumnMissing: The line is plainly a form's, but a key column is not there.
        """
        best_form, best = "", dict[int, str]()
        named = self._titles.get(_plain(sheet))
        for form_id in self._labels:
            found = self._fields_of(form_id, titles)
            # The sheet's own name decides between forms that fit equally well.
            if (len(found), form_id == named) > (len(best), best_form == named):
                best_form, best = form_id, found
        if not best:
            return None
        missing = [name for name in self._keys[best_form] if name not in best.values()]
        if missing:
            if len(best) >= _SURELY_MEANT:
                raise KeyColumnMissing(sheet=sheet, field=missing[0])
            return None
        return HeaderMatch(
            form_id=best_form,
            row_number=row_number,
            columns=_columns(sheet, best),
            unmatched=tuple(
                title.strip() for at, title in enumerate(titles) if title.strip() and at not in best
            ),
        )

    def _fields_of(self, form_id: str, titles: Sequence[str]) -> dict[int, str]:
        labels = self._labels[form_id]
        found: dict[int, str] = {}
        for at, title in enumerate(titles):
            plain = _plain(title)
            name = labels.get(plain) or labels.get(_TRAILING_NOTE.sub("", plain))
            if name is not None:
                found[at] = name
        return found


def _columns(sheet: str, found: Mapping[int, str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for at, name in found.items():
        if name in columns:
            raise HeaderAmbiguous(sheet=sheet, field=name, first=columns[name], second=at + 1)
        columns[name] = at + 1
    return columns


def _claim(labels: dict[str, str | None], label: str, name: str) -> None:
    """Let a label name a field, or nothing once two fields claim it."""
    labels[label] = name if labels.get(label, name) == name else None


def _plain(title: str) -> str:
    """Fold what people vary: width, case, spaces, line breaks, the mark of required fields."""
    folded = unicodedata.normalize("NFKC", title).casefold()
    return "".join(folded.split()).strip("*")
