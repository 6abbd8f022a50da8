"""`yidao signoff list`: who signs, what waits, what is signed, what is not believed."""

from typing import TYPE_CHECKING, Annotated

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.client import SignoffBatch, SignoffPolicy, SignoffStanding

_STATES = {
    "proposed": say("待确认", "proposed"),
    "in_force": say("有效", "in force"),
    "replaced": say("已更换", "replaced"),
}


def register_list(signoff: typer.Typer) -> None:
    """Add the verb."""

    @signoff.command(
        "list", help=say("签发人、待签发、已签发", "Approvers, what waits, what is done")
    )
    def list_signoff(
        data: Data,
        form: Annotated[str, typer.Option(help=say("报表", "Form"))] = "",
        period: Annotated[str, typer.Option(help=say("报告期", "Period"))] = "",
        of: Annotated[
            str, typer.Option("--of", help=say("只看此节点, 如 /33", "This node alone, as /33"))
        ] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = client.signoff(form=form, period=period, path=of)
            answer(as_json, _facts(found), "\n".join(_lines(found)))


def _lines(found: "SignoffStanding") -> list[str]:
    lines = [say("签发人名单", "Policies")]
    lines += [f"  {_policy_line(each)}" for each in found.policies]
    lines.append(say("待签发", "Waiting for a signature"))
    lines += [
        f"  {each.path} {each.pack}/{each.form} {each.period or '-'}: {each.returns}"
        for each in found.waiting
    ]
    lines.append(say("已签发", "Signed off"))
    lines += [f"  {_batch_line(each)}" for each in found.batches]
    if found.refused:
        lines.append(say("无效, 不予采信", "Not believed"))
        lines += [
            f"  {each.path} {each.kind} [{each.code}] @{each.position}" for each in found.refused
        ]
    for title, scopes in (
        (say("本节点要求下级签发", "Demanded of children"), found.demanded),
        (say("上级要求本节点签发", "Demanded by the parent"), found.demanded_by_parent),
    ):
        if scopes:
            lines.append(f"{title}: " + ", ".join(each or say("全部", "all") for each in scopes))
    return lines


def _policy_line(each: "SignoffPolicy") -> str:
    scope = each.scope or say("全部报表", "all forms")
    people = ", ".join(f"{one.name} ({one.actor})" for one in each.approvers)
    filed = say(f", 备案 {each.filed_by}", f", filed by {each.filed_by}") if each.filed_by else ""
    reset = say(", 重置!", ", a RESET!") if each.is_reset else ""
    base = each.base or each.digest
    return (
        f"{each.path} {scope} v{each.version} {_STATES.get(each.state, each.state)}: "
        f"{each.threshold}/{len(each.approvers)} {people}{filed}{reset}\n    {base.hex()}"
    )


def _batch_line(each: "SignoffBatch") -> str:
    people = ", ".join(f"{one.name} ({one.actor})" for one in each.signers)
    return (
        f"{each.path} {each.pack}/{each.form} {each.period or '-'}: {each.returns}  "
        f"{len(each.signers)}/{each.approvers} {people}"
    )


def _facts(found: "SignoffStanding") -> dict[str, object]:
    return {
        "policies": [
            {
                "path": each.path,
                "scope": each.scope,
                "version": each.version,
                "state": each.state,
                "threshold": each.threshold,
                "approvers": [
                    {"actor": one.actor, "name": one.name, "key": one.key} for one in each.approvers
                ],
                "digest": each.digest,
                "base": each.base,
                "proposed_by": each.proposed_by,
                "confirmed_by": each.confirmed_by,
                "is_reset": each.is_reset,
                "filed_by": each.filed_by,
            }
            for each in found.policies
        ],
        "waiting": [
            {
                "path": each.path,
                "pack": each.pack,
                "form": each.form,
                "period": each.period,
                "returns": each.returns,
            }
            for each in found.waiting
        ],
        "batches": [
            {
                "path": each.path,
                "pack": each.pack,
                "form": each.form,
                "period": each.period,
                "returns": each.returns,
                "signers": [
                    {"actor": one.actor, "name": one.name, "time_s": one.time_s}
                    for one in each.signers
                ],
                "threshold": each.threshold,
                "approvers": each.approvers,
                "position": each.position,
            }
            for each in found.batches
        ],
        "refused": [
            {"path": each.path, "kind": each.kind, "code": each.code, "position": each.position}
            for each in found.refused
        ],
        "demanded": list(found.demanded),
        "demanded_by_parent": list(found.demanded_by_parent),
    }
