"""Access to one node, put together: sessions, users, audit."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from yidao.api.errors import YidaoError
from yidao.node.access.actors import is_user, parse_actor
from yidao.node.access.audit import (
    DONE,
    NOBODY,
    AuditProjector,
    Entry,
    Event,
    Note,
    clean_source,
    list_entries,
)
from yidao.node.access.auditor import Auditor
from yidao.node.access.caller import LOCAL_USER, Caller
from yidao.node.access.fieldpolicy import FieldPolicy
from yidao.node.access.mode import Mode
from yidao.node.access.pairs import Pairs
from yidao.node.access.passwords import Hasher
from yidao.node.access.sessions import Sessions
from yidao.node.access.tokens import PREFIX, Tokens
from yidao.node.access.users import Users
from yidao.node.store.store import Store

_EVENT: Final = re.compile(r"[a-z.]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """What a node may choose.

    Attributes:
        idle_seconds: A session ends after so long without a call; 30 minutes at most.
        hasher: With its parameters.
        mode: How strictly duties are kept apart.
    """

    idle_seconds: int = 20 * 60
    hasher: Hasher = field(default_factory=Hasher)
    mode: Mode = field(default_factory=Mode)


class Access:
    """Who may do what at one node, and the audit of it. Safe for threads.

    Attributes:
        projectors: Of the audit and of the policy on fields; the store is started with them.
        mode: How strictly duties are kept apart.
        local: Who calls without a token.
    """

    def __init__(
        self,
        store: Store,
        options: AccessOptions,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self.mode = options.mode
        self.local = Caller(permissions=options.mode.local_permissions)
        self.auditor = Auditor(store, clock_ms=clock_ms, random=random)
        self.sessions = Sessions(
            store,
            self.auditor,
            options.hasher,
            idle_seconds=options.idle_seconds,
            keys_due=options.mode.administrator_keys,
            clock_ms=clock_ms,
            random=random,
        )
        self.pairs = Pairs(
            store, self.auditor, is_on=options.mode.four_eyes, clock_ms=clock_ms, random=random
        )
        self.users = Users(
            store,
            self.auditor,
            options.hasher,
            self.sessions,
            self.pairs,
            clock_ms=clock_ms,
            random=random,
        )
        self.tokens = Tokens(store, self.auditor, clock_ms=clock_ms, random=random)
        self.fields = FieldPolicy(store, self.auditor)
        self.projectors = (AuditProjector(), self.fields.projector)

    def caller(self, token: str, *, source: str = "", counted: bool = True) -> Caller:
        """Give who shows a token, of a session or of a program.

        Raises:
            SessionEnded: Nobody.
            TokenRevoked, TokenExpired, TokenSource, TokenRate: See `tokens`.
        """
        if token.startswith(PREFIX):
            return self.tokens.caller(token, source=source, counted=counted)
        return self.sessions.caller(token, source=source)

    def state_mode(self) -> None:
        """Write down how strictly duties are kept apart, unless the audit says so; blocks."""
        told = self.mode.told()
        with self._store.read() as conn:
            last = list_entries(conn, before=0, limit=1, user="", event=Event.MODE_STATED)
        if not last or last[0].detail != told:
            note = Note(
                event=Event.MODE_STATED,
                name=LOCAL_USER,
                object="mode",
                source=LOCAL_USER,
                detail=told,
            )
            self.auditor.done(note).result()

    def call_done(self, caller: Caller, call: str, asserted: str) -> "Future[None]":
        """Write down a call that was made; durable when the future is done.

        Args:
            caller: Who made it.
            call: `Service/Method`.
            asserted: The actor that a request of the machine's account names.
        """
        return self.auditor.done(_call_note(Event.CALL_DONE, caller, call, DONE, asserted))

    def call_refused(self, caller: Caller, call: str, code: str, asserted: str) -> "Future[None]":
        """Count a call that was refused, or that failed; alike ones are one entry a minute."""
        return self.auditor.refused(_call_note(Event.CALL_REFUSED, caller, call, code, asserted))

    def turned_away(self, call: str, code: str, source: str) -> "Future[None]":
        """Count a call of somebody who is not known."""
        return self.auditor.refused(
            Note(
                event=Event.CALL_REFUSED,
                name=NOBODY,
                object=f"call/{call[:128]}",
                source=clean_source(source),
                result=code,
            )
        )

    def entries(
        self, *, before: int = 0, limit: int = 0, user: str = "", event: str = ""
    ) -> tuple[Entry, ...]:
        """List the audit as its view stands, newest first, see `audit.list_entries`."""
        if (user and not is_user(user)) or _EVENT.fullmatch(event) is None:
            return ()
        with self._store.read() as conn:
            return list_entries(conn, before=before, limit=limit, user=user, event=event)


def _call_note(event: Event, caller: Caller, call: str, result: str, asserted: str) -> Note:
    return Note(
        event=event,
        name=caller.user or LOCAL_USER,
        object=f"call/{call[:128]}",
        source=caller.source,
        result=result,
        detail=_told(caller, asserted),
    )


def _told(caller: Caller, asserted: str) -> str:
    if caller.token_id:
        return f"token={caller.token_id}"
    return f"as={asserted}" if caller.is_local and _is_actor(asserted) else ""


def _is_actor(text: str) -> bool:
    """Whether a text is an actor: nothing else of a request goes into the audit."""
    try:
        parse_actor(text)
    except YidaoError:
        return False
    return True
