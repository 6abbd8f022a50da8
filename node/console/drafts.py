"""What a person typed and has not handed in: kept at once, found again after any interruption.

One file a person, form, period and unit, of mode 0600 in the node's own data
folder, since a draft may hold what the return may not show to everybody. A
draft is local working state: nobody but its author sees it, and it goes away
when the return is handed in.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: A return is at most 32 KiB; texts as typed may be a little longer than the values.
MAX_DRAFT_BYTES: Final = 64 * 1024
MAX_DRAFTS: Final = 10_000
_KEPT_SECONDS: Final = 180 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftKey:
    """Whose draft of which return."""

    actor: str
    pack: str
    form: str
    period: str
    unit: str

    @property
    def file_name(self) -> str:
        """A name of fixed length that no text from outside can steer."""
        parts = (self.actor, self.pack, self.form, self.period, self.unit)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest() + ".json"


class Drafts:
    """The drafts in one folder. Writers of one key take turns: one person types at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._forget_old()

    def load(self, key: DraftKey) -> dict[str, str]:
        """Give the texts as they were typed, by field; empty if there is no draft."""
        try:
            kept = json.loads((self._folder / key.file_name).read_bytes())
        except (FileNotFoundError, ValueError):
            # A torn file is no draft; it is replaced by the next one.
            return {}
        return {str(name): str(text) for name, text in kept.items()}

    def save(self, key: DraftKey, texts: Mapping[str, str]) -> bool:
        """Keep the texts; returns False if they are too many to be kept."""
        body = json.dumps(dict(texts), ensure_ascii=False).encode()
        if len(body) > MAX_DRAFT_BYTES:
            return False
        file = self._folder / key.file_name
        if not file.exists() and len(list(self._folder.iterdir())) >= MAX_DRAFTS:
            return False
        fresh = file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(body)
        fresh.replace(file)
        return True

    def drop(self, key: DraftKey) -> None:
        """Forget a draft."""
        (self._folder / key.file_name).unlink(missing_ok=True)

    def _forget_old(self) -> None:
        oldest = time.time() - _KEPT_SECONDS
        for file in self._folder.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
