"""Kinds and payloads of sign-offs."""

from dataclasses import dataclass
from typing import Final, Self

from yidao.node.affairs.cores import Core, CoreMalformed, encode_core
from yidao.sync.ids import NodeId
from yidao.sync.members import Members
from yidao.sync.signoff import (
    CHANNEL,
    CONFIRMED,
    PROPOSED,
    SIGNED,
    Signature,
    is_scope,
    read_signature,
    signature_members,
)
from yidao.sync.signoffcheck import check_seqs
from yidao.sync.signofferrors import SignoffMalformed

FILED: Final = "signoff.policy.filed"
DEMANDED: Final = "signoff.demand.set"
#: The kinds of a node's own sign-offs.
OF_NODE: Final = frozenset({PROPOSED, CONFIRMED, SIGNED})
#: Those that the evidence of a return may hold.
ALL: Final = OF_NODE | {FILED}
DEMAND_CHANNEL: Final = "down"

__all__ = ["CHANNEL", "CONFIRMED", "DEMANDED", "FILED", "OF_NODE", "PROPOSED", "SIGNED"]


def policy_object(scope: str) -> str:
    """Give the object name of a node's policies for a scope."""
    return f"signoff/policy/{scope or 'all'}"


def batch_object(root: bytes) -> str:
    """Give the object name of a batch."""
    return f"signoff/batch/{root.hex()}"


def demand_object(scope: str) -> str:
    """Give the object name of a demand."""
    return f"signoff/demand/{scope or 'all'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Core of `signoff.policy.proposed`: the statement of a policy."""

    statement: bytes

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"statement": self.statement.decode()})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        return cls(statement=Core.decode(data).text("statement").encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Core of `signoff.policy.confirmed`: who signed the proposal that it is caused by."""

    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"signatures": [signature_members(each) for each in self.signatures]})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`, `SignoffMalformed`."""
        return cls(signatures=_signatures(Core.decode(data)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBatch:
    """Core of `signoff.batch.signed`.

    Attributes:
        seqs: Where the returns lie in the journal that the statement names, ascending.
    """

    statement: bytes
    seqs: tuple[int, ...]
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Write the core part: about 12 bytes a return."""
        return encode_core(
            {
                "seqs": list(self.seqs),
                "signatures": [signature_members(each) for each in self.signatures],
                "statement": self.statement.decode(),
            }
        )

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`, `SignoffMalformed`."""
        core = Core.decode(data)
        seqs = core.integers("seqs")
        check_seqs(seqs)
        return cls(
            statement=core.text("statement").encode(), seqs=seqs, signatures=_signatures(core)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """Core of `signoff.policy.filed`: which root policy of which child is believed."""

    node_id: NodeId
    policy: bytes

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"node_id": self.node_id.hex(), "policy": self.policy.hex()})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        core = Core.decode(data)
        try:
            policy = bytes.fromhex(core.text("policy"))
        except ValueError:
            raise CoreMalformed(field="policy") from None
        if len(policy) != 32:
            raise CoreMalformed(field="policy")
        return cls(node_id=NodeId(core.id16("node_id")), policy=policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Core of `signoff.demand.set`; the scope is `<pack>/<form>`, empty for every form."""

    scope: str
    demanded: bool

    def encode(self) -> bytes:
        """Write the core part."""
        return encode_core({"scope": self.scope, "demanded": self.demanded})

    @classmethod
    def decode(cls, data: bytes | None) -> Self:
        """Read the core part; raises `CoreMalformed`."""
        core = Core.decode(data)
        if not is_scope(core.text("scope")):
            raise CoreMalformed(field="scope")
        return cls(scope=core.text("scope"), demanded=core.flag("demanded"))


def _signatures(core: Core) -> tuple[Signature, ...]:
    return tuple(
        read_signature(Members(each.members, SignoffMalformed)) for each in core.cores("signatures")
    )
