"""Calls about directives."""

from collections.abc import Sequence

from yidao.api.local.v1 import directives_pb2, directives_pb2_grpc
from yidao.node.client import convert, values
from yidao.node.client.calls import Calls


class DirectivesCalls(Calls):
    """What a client asks of directives."""

    @property
    def _directives(self) -> directives_pb2_grpc.DirectivesServiceStub:
        return self._stub(directives_pb2_grpc.DirectivesServiceStub)

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
        expires: str = "",
    ) -> values.Issued:
        """Issue a directive to nodes below; with `parent_directive`, pass that one on.

        After the day `expires` (ISO date) nobody applies it any more.
        """
        request = directives_pb2.IssueRequest(
            actor=actor,
            number=number,
            title=title,
            body=body,
            targets=targets,
            due=due,
            energy_targets=[convert.energy_target_message(each) for each in energy_targets],
            parent_directive=parent_directive,
            expires=expires,
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
        answer = self._call(
            self._directives.ListDirectives,
            directives_pb2.ListDirectivesRequest(),
        )
        return tuple(convert.directive(each) for each in answer.directives)

    def tree(self, directive: str) -> tuple[values.TreeNode, ...]:
        """Give the status tree of a directive."""
        request = directives_pb2.TreeRequest(directive=directive)
        answer = self._call(self._directives.Tree, request)
        return tuple(convert.tree_node(each) for each in answer.targets)
