"""Signing returns off: a file for the approvers, and the batch once enough have signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from yidao.node.affairs.desk import Desk, Placed
from yidao.node.affairs.reporting.review import newest_of
from yidao.node.affairs.reporting.rules import State
from yidao.node.affairs.reporting.tables import return_version
from yidao.node.affairs.signoff import records
from yidao.node.affairs.signoff.errors import (
    SignoffAlready,
    SignoffChanged,
    SignoffNothing,
    SignoffScopeInvalid,
)
from yidao.node.affairs.signoff.policies import append_one, merged, one_statement
from yidao.node.affairs.signoff.queries import is_signed, policy_in_force
from yidao.node.affairs.standards.views import pack as pack_table
from yidao.node.store.errors import StoreInconsistent
from yidao.node.store.records import parts_of
from yidao.node.store.scanning import headers_at
from yidao.node.store.tables import journal
from yidao.node.store.values import Draft, DraftPart
from yidao.sync.ids import JournalId
from yidao.sync.merkle import leaf_hashes
from yidao.sync.signoff import MAX_RETURNS, MAX_SPAN, Batch, Policy
from yidao.sync.signoffcheck import check_root, check_seqs, root_of, verify_batch
from yidao.sync.signofferrors import SignoffForeign, SignoffPolicyUnknown
from yidao.sync.signofffile import ReturnLine, SignatureFile, batch_file

# The file must go through one call of the local API, as base 64.
_MAX_BYTES = 6 * 1024 * 1024
_ALL_POSITIONS = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which returns to sign off; the pack where forms share a name, one unit if wanted."""

    form: str
    period: str
    unit: str = ""
    pack: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A file for the approvers, and how many returns of the choice are in no file yet.

    Attributes:
        headers: Of the returns whose figures the file holds.
    """

    file: bytes
    headers: tuple[bytes, ...]
    batch: Batch
    policy: Policy
    left: int


class Batches:
    """Prepares and writes batches."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def prepare(self, choice: Choice) -> Prepared:
        """Collect what waits for a signature: own returns, submitted and not signed off.

        Raises:
            SignoffScopeInvalid: No form is named.
            SignoffNothing: No such return waits.
            SignoffPolicyUnknown: Nobody is named to sign it.
        """
        desk = self._desk
        if not choice.form:
            raise SignoffScopeInvalid
        with desk.deciding(), desk.read() as conn:
            rows, total = self._waiting(conn, choice)
            if not rows:
                raise SignoffNothing(form=choice.form[:63], period=choice.period[:16])
            pack = rows[0].pack
            named = policy_in_force(conn, desk.identity.node_id, f"{pack}/{choice.form}")
            if named is None:
                raise SignoffPolicyUnknown
            policy = Policy.read(bytes(named.statement))
            lines, of = self._lines(conn, rows)
            digests = {bytes(row.schema_sha256) for row in rows[: len(lines)]}
            packs = [
                bytes(body)
                for body in conn.execute(
                    select(pack_table.c.yaml).where(pack_table.c.sha256.in_(digests))
                ).scalars()
            ]
        batch = Batch(
            network=desk.identity.network,
            journal=of,
            path=desk.path,
            pack=pack,
            form=choice.form,
            period=choice.period,
            count=len(lines),
            root=root_of(leaf_hashes(line.header for line in lines)),
            policy=policy.digest(),
        )
        return Prepared(
            file=batch_file(batch, policy, lines, packs),
            headers=tuple(line.header for line in lines),
            batch=batch,
            policy=policy,
            left=total - len(lines),
        )

    def submit(self, actor: str, files: Sequence[SignatureFile]) -> Placed:
        """Write a batch down once enough approvers have signed it.

        Raises:
            SignoffMixed: The files are of several statements, or there is none.
            SignoffForeign: The statement is of another node's returns.
            SignoffPolicyUnknown: Another policy is in force by now: prepare it anew.
            SignoffApproverUnknown, SignoffSignatureWrong, SignoffTooFew, SignoffRootWrong:
                See `verify_batch` and `check_root`.
            SignoffChanged: A return was withdrawn, corrected or judged since.
            SignoffAlready: All of it is signed off.
            ActorInvalid, ActorElsewhere: The actor may not act here.
        """
        desk = self._desk
        author = str(desk.authorise(actor))
        batch = Batch.read(one_statement(files))
        seqs = files[0].seqs
        check_seqs(seqs)
        own = desk.identity
        if (batch.network, batch.journal.node_id) != (own.network, own.node_id):
            raise SignoffForeign(field="node")
        with desk.deciding():
            with desk.read() as conn:
                row = policy_in_force(conn, own.node_id, f"{batch.pack}/{batch.form}")
                if row is None:
                    raise SignoffPolicyUnknown
                signatures = merged(files)
                verify_batch(batch, signatures, Policy.read(bytes(row.statement)))
                held = headers_at(conn, batch.journal, seqs, _ALL_POSITIONS)
                check_root(batch, leaf_hashes(data for _, data in held))
                _check_standing(conn, batch, [position for position, _ in held])
            said = records.SignedBatch(
                statement=batch.statement(), seqs=seqs, signatures=signatures
            )
            draft = Draft(
                record_id=desk.mint(),
                kind=records.SIGNED,
                actor=author,
                object_id=records.batch_object(batch.root),
                object_version=1,
                created_ms=desk.clock_ms(),
                schema="",
                period=batch.period,
                parts=(DraftPart(name="core", body=said.encode()),),
            )
            position = append_one(desk, records.CHANNEL, draft)
        return Placed(position=position, record_id=draft.record_id)

    def _waiting(self, conn: Connection, choice: Choice) -> tuple[list[Any], int]:
        """Give what waits in the journal of the oldest such return, and how much in all."""
        table = return_version.c
        wanted = [
            table.origin == self._desk.identity.node_id,
            table.state == State.SUBMITTED.value,
            table.form == choice.form,
            table.period == choice.period,
            newest_of(State.SUBMITTED),
            ~is_signed(),
        ]
        if choice.unit:
            wanted.append(table.unit == choice.unit)
        if choice.pack:
            wanted.append(table.pack == choice.pack)
        query = select(
            table.journal_pk, table.seq, table.position, table.pack, table.schema_sha256
        ).where(*wanted)
        first = conn.execute(query.order_by(table.position).limit(1)).first()
        if first is None:
            return [], 0
        total = conn.execute(
            select(func.count()).select_from(return_version).where(*wanted)
        ).scalar_one()
        rows: list[Any] = list(
            conn.execute(
                query.where(
                    table.journal_pk == first.journal_pk,
                    table.pack == first.pack,
                    table.seq < first.seq + MAX_SPAN,
                )
                .order_by(table.seq)
                .limit(MAX_RETURNS)
            )
        )
        return rows, total

    @staticmethod
    def _lines(conn: Connection, rows: Sequence[Any]) -> tuple[list[ReturnLine], JournalId]:
        """Read headers and figures, as many as one file takes."""
        pk = rows[0].journal_pk
        row = conn.execute(select(journal).where(journal.c.id == pk)).one()
        of = JournalId(node_id=row.node_id, channel=row.channel, epoch=row.epoch)
        seqs = [each.seq for each in rows]
        held = headers_at(conn, of, seqs, _ALL_POSITIONS)
        parts = parts_of(conn, pk, seqs)
        lines: list[ReturnLine] = []
        size = 0
        for seq, (_, header) in zip(seqs, held, strict=True):
            core = parts.get(seq, {}).get("core")
            if core is None:
                raise StoreInconsistent(what="core")
            size += len(header) + len(core.body)
            if lines and size > _MAX_BYTES:
                break
            lines.append(ReturnLine(seq=seq, header=header, core=core))
        return lines, of


def _check_standing(conn: Connection, batch: Batch, positions: Sequence[int]) -> None:
    """Let nothing be signed off that does not wait, and nothing twice.

    Raises:
        SignoffForeign: A record is no return of the form and period.
        SignoffChanged: One does not wait, or a newer version does.
        SignoffAlready: All of them are signed off.
    """
    table = return_version.c
    fresh = found = 0
    for start in range(0, len(positions), 500):
        some = positions[start : start + 500]
        rows = conn.execute(
            select(
                table.unit,
                table.state,
                table.pack,
                table.form,
                table.period,
                newest_of(State.SUBMITTED).label("newest"),
                is_signed().label("signed"),
            ).where(table.position.in_(some))
        ).all()
        for row in rows:
            found += 1
            if (row.pack, row.form, row.period) != (batch.pack, batch.form, batch.period):
                raise SignoffForeign(field="form")
            if row.state != State.SUBMITTED.value or not row.newest:
                raise SignoffChanged(unit=row.unit)
            fresh += not row.signed
    if found != len(positions):
        raise SignoffForeign(field="kind")
    if not fresh:
        raise SignoffAlready
