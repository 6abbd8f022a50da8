"""Reminds of what is due: a problem that `status` shows until everybody has reported."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date

from yidao.node.affairs.reporting.due import DueReturn, count_missing, due_returns
from yidao.node.affairs.standards.queries import packs_in_force
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx

OVERDUE = "RETURN_OVERDUE"
DUE_SOON = "RETURN_DUE_SOON"


class Reminders:
    """Looks once a day at what the standards ask for and who has not reported."""

    def __init__(
        self, store: Store, today: Callable[[], date], is_workday: Callable[[date], bool]
    ) -> None:
        self._store = store
        self._today = today
        self._is_workday = is_workday

    async def run(self) -> None:
        """Raise, renew or clear the two reminders."""
        today = self._today()
        missing = await asyncio.to_thread(self.missing, today)
        overdue = [due for due in missing if due.is_overdue(today)]
        soon = [due for due in missing if due.is_soon(today)]

        def remind(tx: Tx) -> None:
            _remind(tx, OVERDUE, overdue)
            _remind(tx, DUE_SOON, soon)

        await asyncio.wrap_future(self._store.submit(remind))

    def missing(self, today: date) -> tuple[DueReturn, ...]:
        """Give what is due and not complete, with the number of units that are missing."""
        own = self._store.identity.path
        with self._store.read() as conn:
            asked = due_returns(packs_in_force(conn), today, self._is_workday)
            counted = [replace(due, missing=count_missing(conn, due, own)) for due in asked]
        return tuple(due for due in counted if due.missing)


def _remind(tx: Tx, code: str, due: Iterable[DueReturn]) -> None:
    """One problem for each code, naming every form: problems have no key of their own."""
    named = [f"{each.form} {each.period} ({each.due.isoformat()}): {each.missing}" for each in due]
    if named:
        tx.raise_problem(code, returns="; ".join(named))
    else:
        tx.clear_problems(code)
