"""Questions to one node, signed by the node that asks: what they are and which way they go.

A question is no record: it is acted on by the addressed node alone, which
decides itself whether the asker may know. Nodes between only route it, up to
the common ancestor and then down. Since a question that has come down never
goes up again, it cannot run in a circle.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from google.protobuf.message import DecodeError

from yidao.api.link.v1 import link_pb2 as pb
from yidao.sync import errors, suite
from yidao.sync.ids import ID_BYTES, NetworkId, NodeId, Path
from yidao.sync.suite import ED25519_SHA256, Signer

MAX_QUESTION_BYTES: Final = 16 * 1024
MAX_ARGS_BYTES: Final = 12 * 1024
MAX_PURPOSE_CHARACTERS: Final = 200
MAX_ACTOR_CHARACTERS: Final = 600
_MAX_KIND_CHARACTERS: Final = 32
#: Of one page.
MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_PAGES: Final = 512
MAX_ALL_PAGES_BYTES: Final = 32 * 1024 * 1024
#: Pages that are sent before the asker says that it can take more.
WINDOW_PAGES: Final = 4
# Nobody waits longer for a live answer; a stolen question is worth nothing afterwards.
MAX_LIFE_MS: Final = 60_000

_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MAX_PARAMS: Final = 8
_MAX_PARAM_NAME: Final = 32
_MAX_PARAM: Final = 256
_DOMAIN: Final = b"yidao-query-v1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as it travels.

    Attributes:
        body: Exact bytes that the signature is over.
        expires_ms: Unix milliseconds after which nobody answers.
        args: What exactly is asked, in the form of its kind.
        purpose: What the answer is for.
        actor: For whom the node asks; a claim of the asking node.
    """

    query_id: bytes
    body: bytes
    signature: bytes
    network: NetworkId
    asker: NodeId
    target: Path
    kind: str
    expires_ms: int
    args: bytes = b""
    purpose: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that was checked, as the one who answers sees it.

    Attributes:
        asker_path: Where the asker stands, by its enrolment.
        cancelled: Tells whether nobody waits for the answer any more.
    """

    question: Question
    asker_path: Path
    cancelled: Callable[[], bool]


class Hop(Enum):
    """Where a question goes from here."""

    HERE = "here"
    UP = "up"
    DOWN = "down"


def next_hop(own: Path, target: Path, *, came_from: Path | None) -> tuple[Hop, Path]:
    """Return where a question goes and which node is next.

    Args:
        own: This node.
        target: The node that is asked.
        came_from: The neighbour that sent it; None if it is asked here.

    Raises:
        QueryUnroutable: It came from above and is not for this node or one below.
        QueryLooped: The way leads back to where it came from.
    """
    from_above = came_from is not None and came_from == own.parent
    if target == own:
        return Hop.HERE, own
    if own.is_ancestor_of(target):
        below = own.child(target.labels[own.depth])
        if below == came_from:
            raise errors.QueryLooped(path=str(own))
        return Hop.DOWN, below
    parent = own.parent
    if from_above or parent is None:
        raise errors.QueryUnroutable(path=str(own))
    return Hop.UP, parent


def make_question(  # noqa: PLR0913 (the members of a question, each by name)
    *,
    query_id: bytes,
    network: NetworkId,
    asker: NodeId,
    target: Path,
    kind: str,
    expires_ms: int,
    signer: Signer,
    args: bytes = b"",
    purpose: str = "",
    actor: str = "",
) -> Question:
    """Return a question signed by the asker's cosigning key.

    Raises:
        QueryMalformed: `args`, `purpose` or `actor` is too long.
    """
    _check_texts(kind, args, purpose, actor)
    body = pb.QueryBody(
        network=network,
        asker=asker,
        target=str(target),
        kind=kind,
        expires_ms=expires_ms,
        args=args,
        purpose=purpose,
        actor=actor,
    ).SerializeToString(deterministic=True)
    signature = signer.sign(_DOMAIN + query_id + body)
    return Question(
        query_id=query_id,
        body=body,
        signature=signature,
        network=network,
        asker=asker,
        target=target,
        kind=kind,
        expires_ms=expires_ms,
        args=args,
        purpose=purpose,
        actor=actor,
    )


def read_question(query: pb.Query) -> Question:
    """Return the question that a message carries; who signed it is not checked yet.

    Raises:
        QueryMalformed: A field is missing, wrong or too long.
    """
    if len(query.query_id) != ID_BYTES or not 0 < len(query.body) <= MAX_QUESTION_BYTES:
        raise errors.QueryMalformed(field="body")
    try:
        body = pb.QueryBody.FromString(query.body)
        target = Path.parse(body.target)
    except (DecodeError, errors.PathInvalid):
        raise errors.QueryMalformed(field="target") from None
    if len(body.network) != ID_BYTES or len(body.asker) != ID_BYTES:
        raise errors.QueryMalformed(field="asker")
    _check_texts(body.kind, body.args, body.purpose, body.actor)
    return Question(
        query_id=query.query_id,
        body=query.body,
        signature=query.signature,
        network=NetworkId(body.network),
        asker=NodeId(body.asker),
        target=target,
        kind=body.kind,
        expires_ms=body.expires_ms,
        args=body.args,
        purpose=body.purpose,
        actor=body.actor,
    )


def _check_texts(kind: str, args: bytes, purpose: str, actor: str) -> None:
    for field, size, limit in (
        ("kind", len(kind), _MAX_KIND_CHARACTERS),
        ("args", len(args), MAX_ARGS_BYTES),
        ("purpose", len(purpose), MAX_PURPOSE_CHARACTERS),
        ("actor", len(actor), MAX_ACTOR_CHARACTERS),
    ):
        if size > limit:
            raise errors.QueryMalformed(field=field)


def check_question(
    question: Question,
    *,
    network: NetworkId,
    now_ms: int,
    asker_key: bytes | None,
    asker_suite: int = ED25519_SHA256,
) -> None:
    """Return only if the question is of this network, in time, and by the asker.

    Args:
        question: As it was read; nothing of it is believed before this returns.
        network: The network that this node belongs to.
        now_ms: This node's time, Unix milliseconds.
        asker_key: The asker's cosigning key; None if nobody of that id is known.
        asker_suite: The suite of that key.

    Raises:
        QueryForeign: Another network, or an unknown asker.
        QueryExpired: Its time is over, or lies further off than any honest one.
        QuerySignatureInvalid: Somebody else wrote or changed it.
    """
    if question.network != network or asker_key is None:
        raise errors.QueryForeign
    if not now_ms < question.expires_ms <= now_ms + 2 * MAX_LIFE_MS:
        raise errors.QueryExpired
    signed = _DOMAIN + question.query_id + question.body
    try:
        suite.verify(asker_suite, asker_key, question.signature, signed)
    except errors.PeerError:
        raise errors.QuerySignatureInvalid from None


def to_proto(question: Question) -> pb.Query:
    """Return the message that carries a question, its body byte for byte."""
    return pb.Query(query_id=question.query_id, body=question.body, signature=question.signature)


def error_code(code: str) -> str:
    """Return a code that another node sent, if it can be one."""
    return code if _CODE.fullmatch(code) else errors.QueryMalformed.code


def error_params(params: Mapping[str, str | int]) -> dict[str, str]:
    """Return what of an error's parameters travels: few, short, printable."""
    return {
        name[:_MAX_PARAM_NAME]: "".join(c for c in str(value) if c.isprintable())[:_MAX_PARAM]
        for name, value in list(params.items())[:_MAX_PARAMS]
    }
