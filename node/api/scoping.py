"""Holds a request to its caller: to who they are, and to what they are held to.

`yidao.node.access` decides; here its decisions meet the messages.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import access_pb2, follow_pb2, node_pb2, query_pb2, reporting_pb2
from yidao.catalog.rows import parse_row
from yidao.node.access.caller import Caller, acting_as, check_form, check_path, check_unit
from yidao.node.access.calls import CallRule, Scoped, UnitRule
from yidao.node.access.errors import PathForeign, UnitForeign
from yidao.node.access.pairs import Matter
from yidao.node.access.roles import Role
from yidao.node.affairs.errors import ReturnUnknown
from yidao.sync.errors import PathInvalid
from yidao.sync.ids import Path

# In every request of the local API these fields say who acts.
_ACTOR_FIELDS: Final = ("actor", "operator")
_SECRET_FIELDS: Final = ("password", "old_password", "new_password")


def act(request: Message, caller: Caller) -> str:
    """Fill in who acts, and give what the request names, empty if it names nobody.

    Raises:
        ActorNotYours: A session's request names somebody else.
    """
    for field in _ACTOR_FIELDS:
        if field in request.DESCRIPTOR.fields_by_name:
            actor = acting_as(caller, getattr(request, field))
            setattr(request, field, actor)
            return actor
    return ""


def is_trial(request: Any) -> bool:
    """Whether a request asks what would happen, and changes nothing."""
    return "dry_run" in request.DESCRIPTOR.fields_by_name and bool(request.dry_run)


def fill_unit(request: Any, caller: Caller) -> None:
    """Narrow a request by `unit` to the caller's institution.

    Raises:
        UnitForeign: It asks for another one, or names none of several.
    """
    request.unit = request.unit or caller.unit
    check_unit(caller, request.unit)


def check_rows(request: Message, caller: Caller) -> None:
    """Look at whom rows are about, read as they will be judged.

    Raises:
        UnitForeign: A row is about another institution, or about none.
    """
    assert isinstance(request, reporting_pb2.SubmitRequest)
    for row in request.rows:
        try:
            named = parse_row(row.payload).get("uscc", "")
        except YidaoError:
            # What cannot be read is refused with its reason, and is about nobody.
            continue
        check_unit(caller, str(named))


def named_records(request: Message) -> tuple[bytes, ...]:
    """Give the ids of the records that a request names."""
    if isinstance(request, node_pb2.ExportEvidenceRequest):
        return (request.record_id,) if request.record_id else ()
    assert isinstance(request, reporting_pb2.WithdrawRequest)
    return tuple(request.record_ids)


def check_return(request: Message, caller: Caller) -> None:
    """Look at whose whole return is asked for, where evidence of one is.

    Raises:
        UnitForeign: Another institution's, or with letters that tell of others.
    """
    if not isinstance(request, node_pb2.ExportEvidenceRequest) or request.record_id:
        return
    check_unit(caller, request.unit)
    if caller.units and request.with_letters:
        raise UnitForeign(unit="*")


def check_records(
    named: Sequence[bytes], units: Mapping[bytes, frozenset[str]], caller: Caller
) -> None:
    """Look at whose returns records are.

    Raises:
        UnitForeign: One is another institution's, or is not here: the same answer,
            so that it does not tell which records there are.
    """
    for record_id in named:
        found = units.get(record_id, frozenset())
        if not found or not found <= caller.units:
            raise UnitForeign(unit=record_id.hex()[:32])


def check_forms(rule: CallRule, request: Any, caller: Caller) -> None:
    """Look at which forms a program's request names.

    Raises:
        FormForeign: One that its token does not, or none where one must be named.
    """
    if not caller.forms or rule.form is not Scoped.NAMED:
        return
    if isinstance(request, reporting_pb2.SubmitRequest):
        named = [(request.pack, row.form) for row in request.rows]
    elif isinstance(request, query_pb2.QueryRowsRequest):
        pack, _, form = request.question.resource.partition("/")
        named = [(pack, form)]
    elif isinstance(request, follow_pb2.FollowRequest):
        # The filter names forms without their packs: each pack's form of that name is meant.
        known = {each.partition("/")[2] for each in caller.forms}
        named = [("", form) for form in request.filter.forms if form not in known]
        if not request.filter.forms:
            named = [("", "")]
    else:
        named = [(request.pack, request.form)]
    for pack, form in named:
        check_form(caller, pack, form)


def check_paths(rule: CallRule, request: Any, caller: Caller) -> None:
    """Look at which places a program's request names.

    Raises:
        PathForeign: One that its token does not, or none where one must be named.
    """
    if not caller.paths or rule.path is not Scoped.NAMED:
        return
    if isinstance(request, query_pb2.QueryRowsRequest):
        text = request.question.of or request.question.under
    else:
        assert isinstance(request, node_pb2.StatusRequest)
        text = request.path
    try:
        check_path(caller, Path.parse(text))
    except PathInvalid:
        raise PathForeign(path=text[:64]) from None


def check_answer(rule: CallRule, request: Any, response: Any, caller: Caller) -> None:
    """Look at what an answer is about, where the request does not tell.

    Raises:
        ReturnUnknown: A receipt of another institution's return: the same as of one that
            is not here.
        FormForeign: A return on a form that a program's token does not name.
    """
    if rule.unit is UnitRule.ANSWER and caller.units:
        assert isinstance(request, reporting_pb2.ReceiptRequest)
        if response.receipt.about.unit not in caller.units:
            raise ReturnUnknown(record=(request.code or request.record_id.hex())[:64])
    if rule.form is Scoped.ANSWER and caller.forms:
        returns = (
            [response.receipt.about]
            if isinstance(response, reporting_pb2.ReceiptResponse)
            else response.returns
        )
        for each in returns:
            check_form(caller, each.pack, each.form)


def matter_of(name: str, request: Any, approvers: frozenset[Role]) -> Matter:
    """Give what of a request somebody else approves: all of it but who acts, and secrets."""
    bound = type(request)()
    bound.CopyFrom(request)
    for field in (*_ACTOR_FIELDS, *_SECRET_FIELDS):
        if field in bound.DESCRIPTOR.fields_by_name:
            bound.ClearField(field)
    is_token = isinstance(bound, access_pb2.GiveTokenRequest)
    about = bound.token.user if is_token else getattr(bound, "name", "")
    shown = json_format.MessageToDict(bound, preserving_proto_field_name=True)
    return Matter(
        call=name,
        shown=json.dumps(shown, ensure_ascii=False, sort_keys=True),
        approvers=approvers,
        about=about,
    )
