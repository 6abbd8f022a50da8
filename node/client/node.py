"""Calls about the node itself: health, children, evidence, its store."""

from collections.abc import Sequence

from yidao.api.local.v1 import node_pb2, node_pb2_grpc
from yidao.node.client import convert, values
from yidao.node.client.calls import Calls


class NodeCalls(Calls):
    """What a client asks of the node itself."""

    @property
    def _node(self) -> node_pb2_grpc.NodeServiceStub:
        return self._stub(node_pb2_grpc.NodeServiceStub)

    def status(self, *, path: str = "") -> values.Status:
        """Give the health of the node."""
        return convert.status(self._call(self._node.Status, node_pb2.StatusRequest(path=path)))

    def list_tree(
        self, *, live: bool = False, deadline_ms: int = 3_000
    ) -> tuple[values.NodeInfo, ...]:
        """Give every node of the subtree with its health, by path.

        Args:
            live: Ask every connected node below; otherwise what is known here.
            deadline_ms: How long the asking may take, at most 20,000; who did not
                answer by then is `unknown`.
        """
        request = node_pb2.ListTreeRequest(live=live, deadline_ms=deadline_ms)
        answer = self._call(self._node.ListTree, request)
        return tuple(convert.node_info(each) for each in answer.nodes)

    def add_child(self, label: str, *, ttl_seconds: int, operator: str) -> bytes:
        """Make a single-use join bundle for a child; it holds a secret."""
        request = node_pb2.AddChildRequest(label=label, ttl_seconds=ttl_seconds, operator=operator)
        return self._call(self._node.AddChild, request).bundle

    def revoke_child(
        self,
        label: str,
        *,
        reason: str,
        operator: str,
        dry_run: bool = False,
        earlier: Sequence[values.JournalCut] = (),
        before_record: bytes = b"",
    ) -> values.Revoked:
        """Take a node's authority away for all that it writes from now on; it is final.

        Args:
            label: Below this node: `33`, or `33/3301`.
            reason: `key-stolen`, `machine-lost`, `replaced` or `closed`.
            operator: `user@path`, of this node.
            dry_run: Give what would be cut, and change nothing.
            earlier: Journals that shall end before what is held of them.
            before_record: The journal of this record shall end right before it.
        """
        request = node_pb2.RevokeChildRequest(
            label=label,
            reason=reason,
            operator=operator,
            dry_run=dry_run,
            earlier=[
                node_pb2.JournalCut(channel=each.channel, epoch=each.epoch, size=each.size)
                for each in earlier
            ],
            before_record=before_record,
        )
        answer = self._call(self._node.RevokeChild, request)
        return values.Revoked(
            node_id=answer.node_id,
            path=answer.path,
            cut=tuple(
                values.JournalCut(channel=each.channel, epoch=each.epoch, size=each.size)
                for each in answer.cut
            ),
        )

    def export_evidence(self, record_id: bytes) -> bytes:
        """Give the evidence of one record that this node holds, a zip."""
        request = node_pb2.ExportEvidenceRequest(record_id=record_id)
        return self._call(self._node.ExportEvidence, request).evidence

    def export_return_evidence(
        self, *, unit: str, form: str, period: str, pack: str = "", with_letters: bool = False
    ) -> bytes:
        """Give the evidence of a whole return as far as this node holds it, a zip.

        Args:
            unit: 统一社会信用代码.
            form: Of the pack.
            period: Empty for forms without periods.
            pack: Needed only where packs share the name of a form.
            with_letters: Also letters that tell the origin of other returns beside
                this one; whoever gets the file can read those lines.
        """
        request = node_pb2.ExportEvidenceRequest(
            unit=unit, form=form, period=period, pack=pack, with_letters=with_letters
        )
        return self._call(self._node.ExportEvidence, request).evidence

    def rebuild(self) -> values.Rebuilt:
        """Empty the projections, fold all journals again, and compare."""
        return convert.rebuilt(self._call(self._node.Rebuild, node_pb2.RebuildRequest()))

    def verify_store(self) -> values.Verified:
        """Recompute every root and digest of the store, and name what differs."""
        answer = self._call(self._node.VerifyStore, node_pb2.VerifyStoreRequest())
        return values.Verified(
            records=answer.records,
            problems=tuple(convert.problem(each) for each in answer.problems),
        )
