"""Holds a request to its caller: to who they are, and to the institution that they fill for.

`yidao.node.access` decides; here its decisions meet the messages.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from yidao.api.errors import YidaoError
from yidao.api.local.v1 import node_pb2, reporting_pb2
from yidao.catalog.rows import parse_row
from yidao.node.access.caller import Caller, acting_as, check_unit
from yidao.node.access.errors import UnitForeign
from yidao.node.affairs.errors import ReturnUnknown

# In every request of the local API these fields say who acts.
_ACTOR_FIELDS: Final = ("actor", "operator")


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
        UnitForeign: It asks for another one.
    """
    check_unit(caller, request.unit or caller.unit)
    request.unit = caller.unit


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
    if caller.unit and request.with_letters:
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
        if units.get(record_id) != frozenset({caller.unit}):
            raise UnitForeign(unit=record_id.hex()[:32])


def check_answer(request: Message, response: Message, caller: Caller) -> None:
    """Look at whose return a receipt is about.

    Raises:
        ReturnUnknown: Another institution's: the same as of one that is not here.
    """
    assert isinstance(request, reporting_pb2.ReceiptRequest)
    assert isinstance(response, reporting_pb2.ReceiptResponse)
    if caller.unit and response.receipt.about.unit != caller.unit:
        raise ReturnUnknown(record=(request.code or request.record_id.hex())[:64])
