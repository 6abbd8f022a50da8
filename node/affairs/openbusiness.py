"""What of the past is still somebody's business, so that nobody prunes it yet."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from yidao.node.affairs.directives import rules as directives
from yidao.node.affairs.directives.views import directive, directive_target
from yidao.node.affairs.reporting import rules as reporting
from yidao.node.affairs.reporting.tables import return_version

_UNDECIDED = (reporting.State.SUBMITTED.value, reporting.State.DOUBTFUL.value)


def open_business(conn: Connection, positions: Collection[int]) -> set[int]:
    """Return which positions hold returns without a verdict, or directives not yet completed."""
    returns = select(return_version.c.position).where(
        return_version.c.position.in_(positions), return_version.c.state.in_(_UNDECIDED)
    )
    unfinished = select(directive.c.position).where(
        directive.c.position.in_(positions),
        directive.c.object_id.in_(
            select(directive_target.c.object_id).where(
                directive_target.c.state != directives.State.COMPLETED.value
            )
        ),
    )
    return set(conn.execute(returns).scalars()) | set(conn.execute(unfinished).scalars())
