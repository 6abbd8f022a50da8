"""What people call forms and fields, in their language, by the newest version of each pack."""

from collections.abc import Mapping
from dataclasses import dataclass

from yidao.catalog.pack.model import Form
from yidao.catalog.pack.versions import PackSet
from yidao.node.client import ReturnInfo
from yidao.node.console.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class FormNames:
    """Titles by pack and form; what is not known is called by its id."""

    words: Words
    forms: Mapping[tuple[str, str], Form]
    packs: Mapping[str, str]

    @classmethod
    def of(cls, packs: PackSet, words: Words) -> "FormNames":
        """Take the titles of all versions; a later one wins."""
        versions = sorted(packs.all(), key=lambda pack: pack.valid_from)
        forms = {(pack.id, form.id): form for pack in versions for form in pack.forms.values()}
        titles = {pack.id: words.of(pack.title) for pack in versions}
        return cls(words=words, forms=forms, packs=titles)

    def form(self, pack: str, form: str) -> str:
        """Give a form's title."""
        found = self.forms.get((pack, form))
        return self.words.of(found.title) if found else form

    def fields(self, pack: str, form: str) -> dict[str, str]:
        """Give the labels of a form's fields, by name."""
        found = self.forms.get((pack, form))
        fields = found.fields.values() if found else ()
        return {field.name: self.words.of(field.label) for field in fields}

    def reported(self) -> list[tuple[str, str]]:
        """Give pack and form of all that are handed in for a period, in the packs' order."""
        return [
            key
            for key, form in self.forms.items()
            if not form.stays_local and "period" in form.fields
        ]


def named_unit(each: ReturnInfo) -> str:
    """Give a return's institution by name and code; by its code alone where no name is known."""
    return f"{each.unit_name} {each.unit}".strip()
