"""The local API of the node itself: health, children, evidence, upkeep of the store."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from typing import Protocol

import grpc.aio

from yidao.api.local.v1 import local_pb2, node_pb2, node_pb2_grpc
from yidao.node.access.actors import authorise
from yidao.node.affairs.reporting.dossier import Wanted, find_dossier, prove_dossier
from yidao.node.api.errors import RecordUnknown, answered
from yidao.node.api.healthport import HealthPort, TreePort, peer_message
from yidao.node.keys import Chain, Identity
from yidao.node.store.store import Store
from yidao.node.store.values import Problem
from yidao.sync.evidence import build_evidence
from yidao.sync.ids import NodeId, Path
from yidao.sync.message import EnrolmentProof
from yidao.sync.proof import parse_proof
from yidao.sync.revocation import Revocation

# The store reads its pragmas back at the start and refuses to run on anything less.
_DURABILITY = "fsynced before every answer"

Context = grpc.aio.ServicerContext[object, object]


class ChildrenPort(Protocol):
    """Lets nodes in below this one, and revokes them."""

    def add(self, path: Path, *, operator: str, life: timedelta) -> bytes:
        """Return the encoded bundle of a new child at `path`."""

    async def revoke(self, path: Path, *, reason: str, operator: str, dry_run: bool) -> Revocation:
        """Revoke the node at a path, or say what that would cut off."""


class NodeServicer(node_pb2_grpc.NodeServiceServicer):
    """Serves `NodeService`."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        health: HealthPort,
        children: ChildrenPort,
        *,
        chain: Callable[[], Chain],
        locate: Callable[[bytes], int | None],
        tree: TreePort,
    ) -> None:
        self._store = store
        self._identity = identity
        self._health = health
        self._children = children
        self._chain = chain
        self._locate = locate
        self._tree = tree

    @answered
    async def Status(
        self, request: node_pb2.StatusRequest, context: Context
    ) -> node_pb2.StatusResponse:
        """Health of this node, or of one elsewhere in the tree, asked live."""
        if request.path in ("", str(self._identity.path)):
            return await asyncio.to_thread(self.status, journals=True)
        return await self._tree.status_of(request.path)

    @answered
    async def ListTree(
        self, request: node_pb2.ListTreeRequest, context: Context
    ) -> node_pb2.ListTreeResponse:
        """Every node of the subtree, by path."""
        nodes = await self._tree.nodes(live=request.live, deadline_ms=request.deadline_ms)
        return node_pb2.ListTreeResponse(nodes=nodes)

    @answered
    async def AddChild(
        self, request: node_pb2.AddChildRequest, context: Context
    ) -> node_pb2.AddChildResponse:
        """Make a join bundle."""
        bundle = await asyncio.to_thread(
            self._children.add,
            self._identity.path.child(request.label),
            operator=self._user(request.operator),
            life=timedelta(seconds=request.ttl_seconds),
        )
        return node_pb2.AddChildResponse(bundle=bundle)

    @answered
    async def RevokeChild(
        self, request: node_pb2.RevokeChildRequest, context: Context
    ) -> node_pb2.RevokeChildResponse:
        """Revoke a node below."""
        path = self._identity.path
        for label in request.label.split("/"):
            path = path.child(label)
        decided = await self._children.revoke(
            path,
            reason=request.reason,
            operator=str(authorise(request.operator, self._identity.path)),
            dry_run=request.dry_run,
        )
        return node_pb2.RevokeChildResponse(
            node_id=decided.node_id,
            path=str(decided.path),
            cut=[
                node_pb2.JournalCut(channel=line.channel, epoch=line.epoch, size=line.size)
                for line in decided.cut
            ],
        )

    @answered
    async def ExportEvidence(
        self, request: node_pb2.ExportEvidenceRequest, context: Context
    ) -> node_pb2.ExportEvidenceResponse:
        """Prove one record, or all that is held of a return."""
        if request.record_id:
            evidence = await asyncio.to_thread(self._evidence, request.record_id)
        else:
            evidence = await asyncio.to_thread(self._return_evidence, request)
        return node_pb2.ExportEvidenceResponse(evidence=evidence)

    @answered
    async def Rebuild(
        self, request: node_pb2.RebuildRequest, context: Context
    ) -> node_pb2.RebuildResponse:
        """Fold all journals again."""
        report = await asyncio.to_thread(self._store.rebuild)
        return node_pb2.RebuildResponse(
            before=[
                node_pb2.TableDigest(table=t.name, rows=t.rows, sha256=t.before)
                for t in report.tables
            ],
            after=[
                node_pb2.TableDigest(table=t.name, rows=t.rows, sha256=t.after)
                for t in report.tables
            ],
        )

    @answered
    async def VerifyStore(
        self, request: node_pb2.VerifyStoreRequest, context: Context
    ) -> node_pb2.VerifyStoreResponse:
        """Recompute every root and digest."""
        report = await asyncio.to_thread(self._store.scrub)
        problems = [
            node_pb2.Problem(
                code=fault.code,
                params={
                    "journal": fault.journal.origin(self._identity.network),
                    "seq": str(fault.seq),
                },
                count=1,
            )
            for fault in report.faults
        ]
        return node_pb2.VerifyStoreResponse(records=report.records, problems=problems)

    def _user(self, actor: str) -> str:
        """The user of an actor that must be of this node."""
        return authorise(actor, self._identity.path).user

    def status(self, *, journals: bool = False) -> node_pb2.StatusResponse:
        """Say how this node is.

        Args:
            journals: Name every journal that is held. Nobody elsewhere is told: those of a
                province with thousands of nodes do not fit an answer.
        """
        store, own = self._store, self._identity
        current, expected = self._health.receipts()
        heads, standing = store.heads(), self._health.standing()
        return node_pb2.StatusResponse(
            network=own.network,
            node_id=own.node_id,
            path=str(own.path),
            epoch=store.identity.epoch,
            state="active",
            last_position=store.last_position(),
            applied_position=store.applied_position,
            records=sum(head.size for head in heads),
            peers=[peer_message(view) for view in self._health.peers()],
            problems=[self._problem(problem) for problem in store.problems()],
            journals=[
                local_pb2.Frontier(
                    origin=head.journal.origin(own.network), size=head.size, root=head.root
                )
                for head in (heads if journals else ())
            ],
            durability=_DURABILITY,
            version=version("yidao"),
            receipts_current=current,
            receipts_expected=expected,
            office_name=standing.office_name,
            test_network=standing.test_network,
            certificate_until_ms=standing.certificate_until_ms,
            parent_error=standing.parent_error,
        )

    def _problem(self, problem: Problem) -> node_pb2.Problem:
        params = {name: str(value) for name, value in problem.params.items()}
        if problem.journal:
            params["journal"] = problem.journal
        if problem.seq >= 0:
            params["seq"] = str(problem.seq)
        if problem.peer:
            node = self._store.enrolled(NodeId(problem.peer))
            params["peer"] = str(node.path) if node else problem.peer.hex()
        return node_pb2.Problem(
            code=problem.code,
            params=params,
            first_ms=problem.first_ms,
            last_ms=problem.last_ms,
            count=problem.times,
        )

    def _evidence(self, record_id: bytes) -> bytes:
        position = self._store.lookup(record_id) or self._locate(record_id)
        if position is None:
            raise RecordUnknown(record=record_id.hex())
        proven = self._store.prove(position)
        return build_evidence(
            header=proven.header,
            proof=parse_proof(proven.proof),
            parts=proven.parts,
            statement=self._chain().statement,
            chain=self._proofs_to(proven.journal.node_id),
        )

    def _return_evidence(self, request: node_pb2.ExportEvidenceRequest) -> bytes:
        wanted = Wanted(
            unit=request.unit,
            form=request.form,
            period=request.period,
            pack=request.pack,
            with_letters=request.with_letters,
        )
        dossier = find_dossier(self._store, wanted)
        return prove_dossier(
            self._store,
            dossier,
            statement=self._chain().statement,
            chain=self._proofs_to(dossier.origin),
        )

    def _proofs_to(self, node_id: NodeId) -> tuple[EnrolmentProof, ...]:
        """Own chain down to this node, then enrolment by enrolment down to the origin.

        Behind each enrolment stand the changes of keys of its node.
        """
        below: list[EnrolmentProof] = []
        while node_id != self._identity.node_id:
            node = self._store.enrolled(node_id)
            if node is None or node.position is None:
                raise RecordUnknown(record=node_id.hex())
            proven = self._store.prove(node.position)
            core = next(part for part in proven.parts if part.name == "core")
            below += reversed(self._store.prove_epochs(node_id))
            below.append(EnrolmentProof(header=proven.header, core=core, proof=proven.proof))
            node_id = node.parent_id
        return (*self._chain().proofs, *reversed(below))
