"""The versions of packs that are held, and which of them is in force for a period.

A period is judged by the version in force on its FIRST day: what must be
collected during a period has to be known when it begins, so a revision that
takes effect within a period binds from the next one. Corrections that arrive
years later are still judged by the version of their period.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from yidao.catalog.errors import (
    PackConflict,
    PackNotInForce,
    PackUnknown,
    SchemaMismatch,
    SchemaUnknown,
)
from yidao.catalog.pack.model import Form, Pack


@dataclass(frozen=True, slots=True)
class PackSet:
    """Packs by id and version; immutable, `add` gives a new set."""

    _packs: Mapping[tuple[str, str], Pack]

    @classmethod
    def of(cls, packs: Iterable[Pack] = ()) -> "PackSet":
        """Collect packs.

        Raises:
            PackConflict: Two differ in content and not in version.
        """
        collected = cls({})
        for pack in packs:
            collected = collected.add(pack)
        return collected

    def add(self, pack: Pack) -> "PackSet":
        """Give a set with one more pack; the same bytes once more change nothing.

        Raises:
            PackConflict: The version is held with other bytes, or another
                version begins on the same day.
        """
        for held in self._packs.values():
            if held.id != pack.id or held.digest == pack.digest:
                continue
            if held.version == pack.version or held.valid_from == pack.valid_from:
                raise PackConflict(pack=pack.id, version=pack.version)
        return PackSet({**self._packs, (pack.id, pack.version): pack})

    def all(self) -> tuple[Pack, ...]:
        """Give every pack, ordered by id and first day in force."""
        return tuple(sorted(self._packs.values(), key=lambda pack: (pack.id, pack.valid_from)))

    def version(self, pack_id: str, version: str) -> Pack:
        """Give one version.

        Raises:
            PackUnknown: It is not held.
        """
        try:
            return self._packs[pack_id, version]
        except KeyError:
            raise PackUnknown(pack=f"{pack_id}/{version}"[:100]) from None

    def in_force(self, pack_id: str, on: date) -> Pack:
        """Give the version in force on a day; pass a period's first day.

        Where two are in force, the one that began later supersedes the other.

        Raises:
            PackUnknown: No version of the pack is held.
            PackNotInForce: None of the held ones is in force on that day.
        """
        versions = [pack for pack in self._packs.values() if pack.id == pack_id]
        if not versions:
            raise PackUnknown(pack=pack_id[:100])
        current = [pack for pack in versions if pack.in_force(on)]
        if not current:
            raise PackNotInForce(pack=pack_id, on=on.isoformat())
        return max(current, key=lambda pack: pack.valid_from)

    def resolve(self, schema: str, digest: bytes) -> tuple[Pack, Form]:
        """Find what a record header names: "energy/2022/consumption" and the pack's digest.

        Raises:
            SchemaUnknown: No held pack defines the schema.
            SchemaMismatch: One does, but its bytes are not those that the record means.
        """
        pack_id, _, rest = schema.partition("/")
        version, _, form_id = rest.partition("/")
        pack = self._packs.get((pack_id, version))
        if pack is None or form_id not in pack.forms:
            raise SchemaUnknown(schema=schema[:100])
        if pack.digest != digest:
            raise SchemaMismatch(schema=schema)
        return pack, pack.forms[form_id]
