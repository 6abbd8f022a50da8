"""The projector of sign-offs: one root a batch, whatever the number of its returns."""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, Row, Table, select, update

from yidao.api.errors import YidaoError
from yidao.node.affairs.signoff import records
from yidao.node.affairs.signoff.queries import policy_in_force
from yidao.node.affairs.signoff.tables import (
    signoff_batch,
    signoff_demand,
    signoff_filing,
    signoff_policy,
    signoff_refused,
    signoff_return,
)
from yidao.node.store.rawsql import run_many
from yidao.node.store.records import Reader
from yidao.node.store.scanning import headers_at
from yidao.node.store.values import StoredRecord
from yidao.sync.merkle import leaf_hashes
from yidao.sync.record import decode_header
from yidao.sync.signoff import Batch, Policy
from yidao.sync.signoffcheck import (
    Signer,
    check_root,
    check_two_persons,
    verify_batch,
    verify_policy,
)
from yidao.sync.signofferrors import SignoffForeign, SignoffPolicyInvalid, SignoffPolicyUnknown
from yidao.sync.signofffile import check_return

_KEYS_AT_ONCE = 500
# One row a return at every tier: an expression a row costs more than the row itself.
_INSERT = "INSERT INTO signoff_return (position, batch, leaf_index) VALUES (?, ?, ?)"


class SignoffProjector:
    """Folds policies, batches, filings and demands.

    What is wrong is written down with the code of its error, and nothing of it counts.
    """

    name = "signoff"
    tables: tuple[Table, ...] = (
        signoff_policy,
        signoff_batch,
        signoff_return,
        signoff_refused,
        signoff_filing,
        signoff_demand,
    )

    def fold(self, conn: Connection, records_: Sequence[StoredRecord], reader: Reader) -> None:
        """Fold a batch of records."""
        del reader
        for item in records_:
            if not item.header.kind.startswith("signoff."):
                continue
            try:
                _fold_one(conn, item)
            except YidaoError as error:
                _refuse(conn, item, error.code)


def _fold_one(conn: Connection, item: StoredRecord) -> None:
    match item.header.kind:
        case records.PROPOSED:
            _propose(conn, item)
        case records.CONFIRMED:
            _confirm(conn, item)
        case records.SIGNED:
            _sign(conn, item)
        case records.FILED:
            _file(conn, item)
        case records.DEMANDED:
            _demand(conn, item)
        case _:
            # Of a newer version; it says nothing here.
            pass


def _propose(conn: Connection, item: StoredRecord) -> None:
    header = item.header
    _check_channel(item, records.CHANNEL)
    statement = records.Proposal.decode(item.parts.get("core")).statement
    policy = Policy.read(statement)
    if (policy.network, policy.node_id) != (header.network, header.node_id):
        raise SignoffForeign(field="node")
    table = signoff_policy.c
    known = select(table.position).where(
        table.node_id == header.node_id, table.digest == policy.digest()
    )
    if conn.execute(known).first() is not None:
        # Or an old root policy, filed by the parent long ago, would come to life again.
        raise SignoffPolicyInvalid(reason="known")
    conn.execute(
        signoff_policy.insert(),
        {
            "position": item.position,
            "node_id": header.node_id,
            "record_id": header.record_id,
            "scope": policy.scope,
            "digest": policy.digest(),
            "base": b"",
            "statement": statement,
            "proposed_by": header.actor,
            "confirmed_by": "",
            "confirmed_at": 0,
            "is_reset": False,
        },
    )


def _confirm(conn: Connection, item: StoredRecord) -> None:
    header = item.header
    _check_channel(item, records.CHANNEL)
    signatures = records.Confirmation.decode(item.parts.get("core")).signatures
    proposal = _proposal(conn, item)
    check_two_persons(proposal.proposed_by, header.actor)
    policy = Policy.read(bytes(proposal.statement))
    former = policy_in_force(conn, header.node_id, policy.scope)
    previous = Policy.read(bytes(former.statement)) if former and policy.previous else None
    verify_policy(policy, signatures, previous)
    table = signoff_policy
    conn.execute(
        update(table)
        .where(table.c.position == proposal.position)
        .values(
            confirmed_by=header.actor,
            confirmed_at=item.position,
            base=bytes(former.base) if former and previous else policy.digest(),
            is_reset=former is not None and previous is None,
        )
    )


def _proposal(conn: Connection, item: StoredRecord) -> Row[tuple[object, ...]]:
    table = signoff_policy.c
    row = conn.execute(
        select(signoff_policy)
        .where(
            table.node_id == item.header.node_id,
            table.record_id == (item.header.causes[:1] or (b"",))[0],
            table.confirmed_at == 0,
        )
        .order_by(table.position)
    ).first()
    if row is None:
        raise SignoffPolicyUnknown
    return row


def _sign(conn: Connection, item: StoredRecord) -> None:
    """Take a batch in.

    1. It is in the journal of the node whose returns it signs off.
    2. The policy that it names is in force for its form here, in journal order.
    3. The signatures are by enough of its approvers.
    4. The records that it lists have the root, and are returns of the form and period.
    """
    header = item.header
    _check_channel(item, records.CHANNEL)
    said = records.SignedBatch.decode(item.parts.get("core"))
    batch = Batch.read(said.statement)
    if (batch.network, batch.journal.node_id) != (header.network, header.node_id):
        raise SignoffForeign(field="node")
    row = policy_in_force(conn, header.node_id, f"{batch.pack}/{batch.form}")
    if row is None:
        raise SignoffPolicyUnknown
    signers = verify_batch(batch, said.signatures, Policy.read(bytes(row.statement)))
    held = headers_at(conn, batch.journal, said.seqs, item.position)
    check_root(batch, leaf_hashes(data for _, data in held))
    for _, data in held:
        check_return(decode_header(data), batch)
    conn.execute(
        signoff_batch.insert(),
        {
            "position": item.position,
            "node_id": header.node_id,
            "pack": batch.pack,
            "form": batch.form,
            "period": batch.period,
            "returns": batch.count,
            "statement": said.statement,
            "policy": batch.policy,
            "base": bytes(row.base),
            "signers": _signers(signers),
            "submitted_by": header.actor,
            "created_ms": header.created_ms,
        },
    )
    _mark(conn, item.position, [position for position, _ in held])


def _mark(conn: Connection, batch: int, positions: Sequence[int]) -> None:
    table = signoff_return.c
    marked: set[int] = set()
    for start in range(0, len(positions), _KEYS_AT_ONCE):
        some = positions[start : start + _KEYS_AT_ONCE]
        query = select(table.position).where(table.position.in_(some))
        marked |= set(conn.execute(query).scalars())
    rows = [
        (position, batch, index)
        for index, position in enumerate(positions)
        if position not in marked
    ]
    if rows:
        run_many(conn, _INSERT, rows)


def _file(conn: Connection, item: StoredRecord) -> None:
    _check_channel(item, records.CHANNEL)
    filing = records.Filing.decode(item.parts.get("core"))
    key = {"by_id": item.header.node_id, "node_id": filing.node_id, "policy": filing.policy}
    table = signoff_filing
    here = [table.c[name] == value for name, value in key.items()]
    if conn.execute(select(table.c.position).where(*here)).first() is None:
        row = {"position": item.position, "filed_by": item.header.actor}
        conn.execute(table.insert(), key | row)


def _demand(conn: Connection, item: StoredRecord) -> None:
    _check_channel(item, records.DEMAND_CHANNEL)
    demand = records.Demand.decode(item.parts.get("core"))
    table = signoff_demand
    key = {"node_id": item.header.node_id, "scope": demand.scope}
    here = (table.c.node_id == item.header.node_id, table.c.scope == demand.scope)
    conn.execute(table.delete().where(*here))
    row = {"demanded": demand.demanded, "set_by": item.header.actor, "position": item.position}
    conn.execute(table.insert(), key | row)


def _refuse(conn: Connection, item: StoredRecord, code: str) -> None:
    row = {"position": item.position, "node_id": item.header.node_id}
    conn.execute(signoff_refused.insert(), row | {"kind": item.header.kind, "code": code})


def _check_channel(item: StoredRecord, channel: str) -> None:
    if item.journal.channel != channel or item.header.node_id != item.journal.node_id:
        raise SignoffForeign(field="journal")


def _signers(signers: Sequence[Signer]) -> bytes:
    return orjson.dumps(
        [
            {
                "actor": each.approver.actor,
                "name": each.approver.name,
                "key": each.approver.key.hex(),
                "time_s": each.time_s,
            }
            for each in signers
        ]
    )
