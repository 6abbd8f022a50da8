"""From messages of the local API to the client's values, and back."""

from yidao.api.local.v1 import (
    directives_pb2,
    local_pb2,
    node_pb2,
    registry_pb2,
    reporting_pb2,
    standards_pb2,
)
from yidao.node.client import values
from yidao.node.client.trust import expiry


def placed(message: local_pb2.Position) -> values.Placed:
    """Read a position."""
    return values.Placed(
        position=message.position, record_id=message.record_id, repeat=message.repeat
    )


def pack(message: standards_pb2.PackSummary) -> values.PackInfo:
    """Read a pack's summary."""
    return values.PackInfo(
        id=message.id,
        version=message.version,
        valid_from=message.valid_from,
        valid_to=message.valid_to,
        sha256=message.sha256,
        published_by=message.published_by,
        forms=tuple(message.forms),
        unusable=message.unusable,
    )


def unit(message: registry_pb2.Unit) -> values.UnitInfo:
    """Read a unit."""
    return values.UnitInfo(
        unit=message.unit,
        name=message.name,
        region_code=message.region_code,
        inst_type=message.inst_type,
        origin_path=message.origin_path,
        version=message.version,
        record_id=message.record_id,
        contested=message.contested,
    )


def row_message(row: values.Row) -> reporting_pb2.Row:
    """Write a row."""
    return reporting_pb2.Row(
        row=row.row,
        form=row.form,
        period=row.period,
        payload=row.payload,
        attachment=row.attachment,
        causes=row.causes,
        key=row.key,
    )


def _fault(message: reporting_pb2.Fault) -> values.RowFault:
    return values.RowFault(
        field=message.field,
        rule=message.rule,
        code=message.code,
        severity=message.severity,
        zh=message.zh,
        en=message.en,
    )


def row_result(message: reporting_pb2.RowResult) -> values.RowResult:
    """Read what became of a row."""
    return values.RowResult(
        row=message.row,
        outcome=message.outcome,
        faults=tuple(_fault(each) for each in message.faults),
        record_id=message.record_id,
        version=message.version,
        repeat=message.repeat,
    )


def return_info(message: reporting_pb2.Return) -> values.ReturnInfo:
    """Read a version of a return."""
    return values.ReturnInfo(
        key=message.key,
        form=message.form,
        period=message.period,
        unit=message.unit,
        version=message.version,
        state=message.state,
        record_id=message.record_id,
        pack_version=message.pack_version,
        origin_path=message.origin_path,
        submitted_by=message.submitted_by,
        reviewed_by=message.reviewed_by,
        reason=message.reason,
        faults=tuple(_fault(each) for each in message.faults),
        payload=message.payload,
        pack=message.pack,
        created_ms=message.created_ms,
        withdrawn_by=message.withdrawn_by,
        withdrawn_reason=message.withdrawn_reason,
        unit_name=message.unit_name,
    )


def totals(message: reporting_pb2.Totals) -> values.Totals:
    """Read the figures of one scope."""
    return values.Totals(
        returns=message.returns,
        summed=message.summed,
        fields=dict(message.fields),
        indicators=dict(message.indicators),
    )


def frontier(message: local_pb2.Frontier) -> values.Frontier:
    """Read a journal's frontier."""
    return values.Frontier(origin=message.origin, size=message.size, root=message.root)


def roll_up(message: reporting_pb2.RollUpResponse) -> values.RollUp:
    """Read totals."""
    return values.RollUp(
        submitted=totals(message.submitted),
        accepted=totals(message.accepted),
        frontiers=tuple(frontier(each) for each in message.frontiers),
        position=message.position,
    )


def energy_target_message(target: values.EnergyTarget) -> directives_pb2.EnergyTarget:
    """Write a target figure."""
    return directives_pb2.EnergyTarget(
        target=target.target,
        year=target.year,
        indicator=target.indicator,
        base_year=target.base_year,
        base_value=target.base_value,
        change_percent=target.change_percent,
        cap_value=target.cap_value,
        binding=target.binding,
    )


def _energy_target(message: directives_pb2.EnergyTarget) -> values.EnergyTarget:
    return values.EnergyTarget(
        target=message.target,
        year=message.year,
        indicator=message.indicator,
        base_year=message.base_year,
        base_value=message.base_value,
        change_percent=message.change_percent,
        cap_value=message.cap_value,
        binding=message.binding,
    )


def directive(message: directives_pb2.Directive) -> values.DirectiveInfo:
    """Read a directive."""
    return values.DirectiveInfo(
        directive=message.directive,
        number=message.number,
        title=message.title,
        body=message.body,
        issuer=message.issuer,
        due=message.due,
        targets=tuple(message.targets),
        energy_targets=tuple(_energy_target(each) for each in message.energy_targets),
        parent_directive=message.parent_directive,
        state=message.state,
        expires=message.expires,
    )


def tree_node(message: directives_pb2.TreeNode) -> values.TreeNode:
    """Read a branch of a status tree."""
    return values.TreeNode(
        path=message.path,
        directive=message.directive,
        state=message.state,
        actor=message.actor,
        percent=message.percent,
        note=message.note,
        passed_on=tuple(tree_node(each) for each in message.passed_on),
    )


def problem(message: node_pb2.Problem) -> values.Problem:
    """Read a problem."""
    return values.Problem(
        code=message.code,
        params=dict(message.params),
        first_ms=message.first_ms,
        last_ms=message.last_ms,
        count=message.count,
    )


def _peer(message: node_pb2.Peer) -> values.Peer:
    return values.Peer(
        node_id=message.node_id,
        path=message.path,
        role=message.role,
        state=message.state,
        lag=message.lag,
        last_seen_ms=message.last_seen_ms,
        next_retry_ms=message.next_retry_ms,
    )


def status(message: node_pb2.StatusResponse) -> values.Status:
    """Read the health of a node."""
    return values.Status(
        network=message.network,
        node_id=message.node_id,
        path=message.path,
        epoch=message.epoch,
        state=message.state,
        last_position=message.last_position,
        applied_position=message.applied_position,
        records=message.records,
        peers=tuple(_peer(each) for each in message.peers),
        problems=tuple(problem(each) for each in message.problems),
        journals=tuple(frontier(each) for each in message.journals),
        durability=message.durability,
        version=message.version,
        receipts_current=message.receipts_current,
        receipts_expected=message.receipts_expected,
        office_name=message.office_name,
        test_network=message.test_network,
        certificate_until_ms=message.certificate_until_ms,
        parent_error=message.parent_error,
        expiries=tuple(expiry(each) for each in message.expiries),
    )


def node_info(message: node_pb2.NodeInfo) -> values.NodeInfo:
    """Read a node of the subtree."""
    return values.NodeInfo(
        path=message.path,
        node_id=message.node_id,
        state=message.state,
        lag_down=message.lag_down,
        lag_up=message.lag_up,
        last_seen_ms=message.last_seen_ms,
        next_retry_ms=message.next_retry_ms,
        problems=message.problems,
        as_of_ms=message.as_of_ms,
        version=message.version,
        office_name=message.office_name,
    )


def rebuilt(message: node_pb2.RebuildResponse) -> values.Rebuilt:
    """Read what a rebuild came to, table by table."""
    before = {each.table: each for each in message.before}
    return values.Rebuilt(
        tables=tuple(
            values.RebuiltTable(
                table=each.table,
                rows=each.rows,
                equal=each.table in before and before[each.table].sha256 == each.sha256,
            )
            for each in message.after
        )
    )
