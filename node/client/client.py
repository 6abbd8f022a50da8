"""The client: typed calls to one node over its local socket, synchronous."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc

from yidao.api.local.v1 import (
    directives_pb2,
    directives_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
    reporting_pb2,
    reporting_pb2_grpc,
    standards_pb2,
    standards_pb2_grpc,
)
from yidao.node.client import convert, values
from yidao.node.client.errors import NodeUnreachable, SocketPathTooLong, error_of

#: `sun_path` of Linux is 108 bytes with its closing zero (unix(7)).
_MAX_SOCKET_PATH_BYTES: Final = 107
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_CALL_ROWS: Final = 500
_CALL_BYTES: Final = 4 * 1024 * 1024
_REVIEW_ROWS: Final = 2_000
#: Long enough for a rebuild of a large store; a daemon that is gone is noticed at once.
_TIMEOUT_SECONDS: Final = 600.0

Progress = Callable[[int], None]
_Response = TypeVar("_Response")


class Client:
    """Talks to one node. Close it, or use it in a `with`; safe for several threads.

    Every call raises `ClientError` with the node's own code if the node
    refuses, `NodeUnreachable` if no daemon answers, `AnswerTooLate` if it does
    not answer in time.
    """

    def __init__(self, channel: grpc.Channel, socket: str, timeout_seconds: float) -> None:
        self._channel = channel
        self._socket = socket
        self._timeout_seconds = timeout_seconds
        self._standards = standards_pb2_grpc.StandardsServiceStub(channel)
        self._registry = registry_pb2_grpc.RegistryServiceStub(channel)
        self._reporting = reporting_pb2_grpc.ReportingServiceStub(channel)
        self._directives = directives_pb2_grpc.DirectivesServiceStub(channel)
        self._node = node_pb2_grpc.NodeServiceStub(channel)

    @classmethod
    def open(cls, socket_path: Path, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> Self:
        """Connect to the node whose socket this is.

        Raises:
            SocketPathTooLong: The system cannot reach a socket at a path of that length.
            NodeUnreachable: There is no socket.
        """
        size_bytes = len(os.fsencode(socket_path))
        if size_bytes > _MAX_SOCKET_PATH_BYTES:
            raise SocketPathTooLong(size_bytes=size_bytes, limit_bytes=_MAX_SOCKET_PATH_BYTES)
        if not socket_path.is_socket():
            raise NodeUnreachable(socket=str(socket_path))
        channel = grpc.insecure_channel(
            f"unix:{socket_path}",
            options=(
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
                # A proxy setting of the environment is meant for the web, not for this.
                ("grpc.enable_http_proxy", 0),
            ),
        )
        return cls(channel, str(socket_path), timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    # Standards and units.

    def publish_pack(self, pack: bytes, *, actor: str) -> values.Placed:
        """Publish a version of a pack to the whole tree; only at the root."""
        answer = self._call(
            self._standards.PublishPack, standards_pb2.PublishPackRequest(pack=pack, actor=actor)
        )
        return convert.placed(answer.position)

    def packs(self) -> tuple[values.PackInfo, ...]:
        """List every published version."""
        answer = self._call(self._standards.ListPacks, standards_pb2.ListPacksRequest())
        return tuple(convert.pack(each) for each in answer.packs)

    def pack(self, pack_id: str, *, version: str = "", on: str = "") -> bytes:
        """Give the exact bytes of a version, or of the one in force on an ISO date."""
        request = standards_pb2.GetPackRequest(id=pack_id, version=version, on=on)
        return self._call(self._standards.GetPack, request).pack

    def units(self) -> Iterator[values.UnitInfo]:
        """Give every unit by code, page by page."""
        after = ""
        while True:
            request = registry_pb2.ListUnitsRequest(after=after, limit=1_000)
            answer = self._call(self._registry.ListUnits, request)
            yield from (convert.unit(each) for each in answer.units)
            if len(answer.units) < 1_000:
                return
            after = answer.units[-1].unit

    # Returns.

    def submit(
        self,
        pack: str,
        rows: Iterable[values.Row],
        *,
        actor: str,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> values.Submitted:
        """Hand in rows in their order, in calls of at most 500 rows and 4 MiB.

        A call that fails leaves those before it in place; handing in all rows
        again is right, since equal ones are left alone.

        Args:
            pack: `energy`.
            rows: Any number; read as they are sent.
            actor: `user@path` of this node.
            dry_run: Judge and answer, append nothing.
            progress: Told after each call how many rows are done.
        """
        results: list[values.RowResult] = []
        position = 0
        for chunk in _chunks(rows):
            request = reporting_pb2.SubmitRequest(
                pack=pack, actor=actor, rows=chunk, dry_run=dry_run
            )
            answer = self._call(self._reporting.Submit, request)
            results.extend(convert.row_result(each) for each in answer.results)
            position = answer.position
            if progress is not None:
                progress(len(results))
        return values.Submitted(results=tuple(results), position=position)

    def returns(
        self,
        *,
        form: str = "",
        period: str = "",
        unit: str = "",
        state: str = "",
        after: str = "",
        limit: int = 200,
    ) -> values.ReturnPage:
        """Give one page of versions of returns, at most 1,000; empty filters match all."""
        request = reporting_pb2.ListReturnsRequest(
            form=form, period=period, unit=unit, state=state, after=after, limit=limit
        )
        answer = self._call(self._reporting.ListReturns, request)
        return values.ReturnPage(
            returns=tuple(convert.return_info(each) for each in answer.returns), next=answer.next
        )

    def review(
        self,
        *,
        actor: str,
        decision: str,
        record_ids: Sequence[bytes] = (),
        form: str = "",
        period: str = "",
        reason: str = "",
        limit: int = _REVIEW_ROWS,
    ) -> values.Reviewed:
        """Accept or return what direct children submitted, at most `limit` returns.

        Args:
            actor: `user@path` of this node.
            decision: `accept` or `return`.
            record_ids: These returns; or leave empty and give form, period or both.
            form: With `period`: all that wait of this form.
            period: With `form`: all that wait of this period.
            reason: Required to return.
            limit: At most 10,000.
        """
        request = reporting_pb2.ReviewRequest(
            actor=actor,
            record_ids=record_ids,
            form=form,
            period=period,
            decision=decision,
            reason=reason,
            limit=limit,
        )
        answer = self._call(self._reporting.Review, request)
        return values.Reviewed(reviewed=answer.reviewed, left=answer.left, position=answer.position)

    def review_all(
        self,
        *,
        actor: str,
        decision: str,
        record_ids: Sequence[bytes] = (),
        form: str = "",
        period: str = "",
        reason: str = "",
        progress: Progress | None = None,
    ) -> values.Reviewed:
        """Review until nothing that matches is left; `progress` is told how many are done."""
        done = 0
        while True:
            answer = self.review(
                actor=actor,
                decision=decision,
                record_ids=record_ids,
                form=form,
                period=period,
                reason=reason,
            )
            done += answer.reviewed
            if progress is not None:
                progress(done)
            if answer.left == 0 or answer.reviewed == 0:
                return values.Reviewed(reviewed=done, left=answer.left, position=answer.position)

    def roll_up(self, *, pack: str, form: str, period: str) -> values.RollUp:
        """Give the totals of one form and period, and the frontiers that they come from."""
        request = reporting_pb2.RollUpRequest(pack=pack, form=form, period=period)
        return convert.roll_up(self._call(self._reporting.RollUp, request))

    # Directives.

    def issue(  # noqa: PLR0913 (the fields of a directive, each by name)
        self,
        *,
        actor: str,
        number: str,
        title: str,
        targets: Sequence[str],
        body: str = "",
        due: str = "",
        energy_targets: Sequence[values.EnergyTarget] = (),
        parent_directive: str = "",
    ) -> values.Issued:
        """Issue a directive to nodes below; with `parent_directive`, pass that one on."""
        request = directives_pb2.IssueRequest(
            actor=actor,
            number=number,
            title=title,
            body=body,
            targets=targets,
            due=due,
            energy_targets=[convert.energy_target_message(each) for each in energy_targets],
            parent_directive=parent_directive,
        )
        answer = self._call(self._directives.Issue, request)
        return values.Issued(directive=answer.directive, position=convert.placed(answer.position))

    def report(
        self, *, actor: str, directive: str, state: str, percent: int = 0, note: str = ""
    ) -> values.Placed:
        """Report on a directive that names this node: `acknowledged`, `progressed`, `completed`."""
        request = directives_pb2.ReportRequest(
            actor=actor, directive=directive, state=state, percent=percent, note=note
        )
        return convert.placed(self._call(self._directives.Report, request).position)

    def directives(self) -> tuple[values.DirectiveInfo, ...]:
        """List the directives that this node issued or is a target of, newest first."""
        answer = self._call(self._directives.ListDirectives, directives_pb2.ListDirectivesRequest())
        return tuple(convert.directive(each) for each in answer.directives)

    def tree(self, directive: str) -> tuple[values.TreeNode, ...]:
        """Give the status tree of a directive."""
        request = directives_pb2.TreeRequest(directive=directive)
        answer = self._call(self._directives.Tree, request)
        return tuple(convert.tree_node(each) for each in answer.targets)

    # The node itself.

    def status(self, *, path: str = "") -> values.Status:
        """Give the health of the node."""
        return convert.status(self._call(self._node.Status, node_pb2.StatusRequest(path=path)))

    def add_child(self, label: str, *, ttl_seconds: int, operator: str) -> bytes:
        """Make a single-use join bundle for a child; it holds a secret."""
        request = node_pb2.AddChildRequest(label=label, ttl_seconds=ttl_seconds, operator=operator)
        return self._call(self._node.AddChild, request).bundle

    def export_evidence(self, record_id: bytes) -> bytes:
        """Give the evidence of one record that this node holds, a zip."""
        request = node_pb2.ExportEvidenceRequest(record_id=record_id)
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

    def _call(self, method: Callable[..., _Response], request: object) -> _Response:
        try:
            return method(request, timeout=self._timeout_seconds)
        except grpc.RpcError as failure:
            raise error_of(failure, self._socket, self._timeout_seconds) from None


def _chunks(rows: Iterable[values.Row]) -> Iterator[list[reporting_pb2.Row]]:
    chunk: list[reporting_pb2.Row] = []
    size_bytes = 0
    for row in rows:
        message = convert.row_message(row)
        row_bytes = message.ByteSize()
        if chunk and (len(chunk) >= _CALL_ROWS or size_bytes + row_bytes > _CALL_BYTES):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(message)
        size_bytes += row_bytes
    if chunk:
        yield chunk
