"""The local API of sign-offs."""

from typing import Any

import grpc.aio

from yidao.api.local.v1 import signoff_pb2, signoff_pb2_grpc
from yidao.node.access.caller import current_caller
from yidao.node.access.errors import PartHidden
from yidao.node.access.fields import Asker
from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.reporting.showing import shows_part
from yidao.node.affairs.signoff.batches import Choice
from yidao.node.affairs.signoff.queries import (
    BatchRow,
    PolicyRow,
    demanded_scopes,
    list_batches,
    list_policies,
    list_refused,
    nodes_at,
)
from yidao.node.affairs.signoff.waiting import demanded_of_us, list_waiting, unsigned_of
from yidao.node.api.errors import answered
from yidao.node.api.workers import Workers, noted
from yidao.sync.record import decode_header
from yidao.sync.signoff import MAX_APPROVERS, Approver
from yidao.sync.signofferrors import SignoffMalformed
from yidao.sync.signofffile import SignatureFile

Context = grpc.aio.ServicerContext[Any, Any]
_MAX_IDS = 1_000


class SignoffServicer(signoff_pb2_grpc.SignoffServiceServicer):
    """Serves `SignoffService`."""

    def __init__(self, affairs: Affairs, workers: Workers) -> None:
        self._affairs = affairs
        self._workers = workers

    @answered
    async def ProposePolicy(
        self, request: signoff_pb2.ProposePolicyRequest, context: Context
    ) -> signoff_pb2.ProposePolicyResponse:
        """Propose whose signatures count."""
        approvers = [
            Approver(actor=each.actor, name=each.name, key=each.key, suite=each.suite)
            for each in request.approvers
        ]
        done = await self._workers.write(
            lambda: self._affairs.policies.propose(
                request.actor, request.scope, request.threshold, approvers, reset=request.reset
            )
        )
        return signoff_pb2.ProposePolicyResponse(
            file=done.file, digest=done.policy.digest(), position=done.position
        )

    @answered
    async def ConfirmPolicy(
        self, request: signoff_pb2.ConfirmPolicyRequest, context: Context
    ) -> signoff_pb2.SignoffPlaced:
        """Let a proposed policy come into force."""
        done = await self._workers.write(
            lambda: self._affairs.policies.confirm(request.actor, _files(request))
        )
        return signoff_pb2.SignoffPlaced(position=done.position)

    @answered
    async def FilePolicy(
        self, request: signoff_pb2.FilePolicyRequest, context: Context
    ) -> signoff_pb2.SignoffPlaced:
        """Believe a root policy of a child."""
        done = await self._workers.write(
            lambda: self._affairs.policies.file(request.actor, request.digest)
        )
        return signoff_pb2.SignoffPlaced(position=done.position)

    @answered
    async def SetDemand(
        self, request: signoff_pb2.SetDemandRequest, context: Context
    ) -> signoff_pb2.SignoffPlaced:
        """Demand the signatures of children, or no longer."""
        done = await self._workers.write(
            lambda: self._affairs.policies.demand(
                request.actor, request.scope, demanded=request.demanded
            )
        )
        return signoff_pb2.SignoffPlaced(position=done.position)

    @answered
    async def ListSignoff(
        self, request: signoff_pb2.ListSignoffRequest, context: Context
    ) -> signoff_pb2.ListSignoffResponse:
        """Give policies, batches, what is not believed, and what waits."""
        return await self._workers.read(lambda: self._list(request))

    @answered
    async def PrepareBatch(
        self, request: signoff_pb2.PrepareBatchRequest, context: Context
    ) -> signoff_pb2.PrepareBatchResponse:
        """Collect what waits for a signature, for whom its figures may be shown as they are."""
        caller = current_caller()
        choice = Choice(
            form=request.form, period=request.period, unit=request.unit, pack=request.pack
        )
        done = await self._workers.write(lambda: self._affairs.batches.prepare(choice))
        fields = self._affairs.access.fields
        reader = await self._workers.read(lambda: fields.reader(Asker.of(caller)))
        shown = await self._workers.read(
            lambda: all(shows_part(reader, decode_header(each), "core") for each in done.headers)
        )
        if not shown:
            # Nobody signs figures that are masked.
            raise PartHidden(part="core")
        await noted(fields.shown(caller, "SignoffService/PrepareBatch", reader))
        return signoff_pb2.PrepareBatchResponse(
            file=done.file, returns=done.batch.count, left=done.left
        )

    @answered
    async def SubmitBatch(
        self, request: signoff_pb2.SubmitBatchRequest, context: Context
    ) -> signoff_pb2.SignoffPlaced:
        """Write a batch down once enough approvers have signed."""
        done = await self._workers.write(
            lambda: self._affairs.batches.submit(request.actor, _files(request))
        )
        return signoff_pb2.SignoffPlaced(position=done.position)

    @answered
    async def ListUnsigned(
        self, request: signoff_pb2.UnsignedRequest, context: Context
    ) -> signoff_pb2.UnsignedResponse:
        """Say which returns of children wait for a signature."""
        desk = self._affairs.desk

        def find() -> tuple[bytes, ...]:
            with desk.read() as conn:
                return unsigned_of(desk, conn, request.record_ids[:_MAX_IDS])

        return signoff_pb2.UnsignedResponse(record_ids=await self._workers.read(find))

    def _list(self, request: signoff_pb2.ListSignoffRequest) -> signoff_pb2.ListSignoffResponse:
        desk = self._affairs.desk
        nodes = nodes_at(desk, request.path) if request.path else None
        form, period = request.form, request.period
        with desk.read() as conn:
            return signoff_pb2.ListSignoffResponse(
                policies=[_policy(each) for each in list_policies(desk, conn, nodes)],
                batches=[
                    _batch(each)
                    for each in list_batches(desk, conn, nodes, form=form, period=period)
                ],
                refused=[
                    signoff_pb2.SignoffRefused(
                        path=each.path, kind=each.kind, code=each.code, position=each.position
                    )
                    for each in list_refused(desk, conn, nodes)
                ],
                waiting=[
                    signoff_pb2.SignoffWaiting(
                        path=each.path,
                        pack=each.pack,
                        form=each.form,
                        period=each.period,
                        returns=each.returns,
                    )
                    for each in list_waiting(desk, conn)
                ],
                demanded=sorted(demanded_scopes(conn, desk.identity.node_id)),
                demanded_by_parent=sorted(demanded_of_us(desk, conn)),
            )


def _files(
    request: signoff_pb2.ConfirmPolicyRequest | signoff_pb2.SubmitBatchRequest,
) -> list[SignatureFile]:
    """Read the signature files; more than there can be approvers, old and new, are none."""
    if len(request.files) > 2 * MAX_APPROVERS:
        raise SignoffMalformed(field="files")
    return [SignatureFile.decode(each) for each in request.files]


def _policy(row: PolicyRow) -> signoff_pb2.SignoffPolicy:
    return signoff_pb2.SignoffPolicy(
        path=row.path,
        scope=row.policy.scope,
        version=row.policy.version,
        threshold=row.policy.threshold,
        approvers=[
            signoff_pb2.Approver(actor=each.actor, name=each.name, key=each.key, suite=each.suite)
            for each in row.policy.approvers
        ],
        state=row.state,
        digest=row.digest,
        base=row.base,
        proposed_by=row.proposed_by,
        confirmed_by=row.confirmed_by,
        is_reset=row.is_reset,
        filed_by=row.filed_by,
    )


def _batch(row: BatchRow) -> signoff_pb2.SignoffBatch:
    return signoff_pb2.SignoffBatch(
        path=row.path,
        pack=row.pack,
        form=row.form,
        period=row.period,
        returns=row.returns,
        signers=[
            signoff_pb2.SignoffSigner(actor=actor, name=name, time_s=time_s)
            for actor, name, time_s in row.signers
        ],
        threshold=row.threshold,
        approvers=row.approvers,
        submitted_by=row.submitted_by,
        created_ms=row.created_ms,
        position=row.position,
    )
