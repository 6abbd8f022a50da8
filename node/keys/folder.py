"""The key folder as a whole: who a node is, its certificates and its chain.

`identity.json` is written last: where it stands, the node is enrolled. It names
the epoch in which the node writes and the keys of that, so that a change of keys
is one file put in the place of another.
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypedDict, cast

import orjson

from yidao.api.errors import YidaoError
from yidao.node import errors
from yidao.node.keys.names import (
    CA_CHAIN,
    CA_KEY,
    CHAIN,
    FIRST_EPOCH,
    IDENTITY,
    ROOT_CERTIFICATE,
    ROOT_LIST,
    ROOT_STATEMENT,
    TLS_CHAIN,
    TLS_KEY,
    epoch_count,
    key_names,
)
from yidao.node.keys.signers import SignerFolder
from yidao.node.keys.values import Chain, Identity, NodeCertificates
from yidao.sync import ids
from yidao.sync.errors import PeerError
from yidao.sync.message import EnrolmentProof
from yidao.sync.record import Part
from yidao.sync.rootlist import SignedRootList
from yidao.sync.suite import SPOKEN, Signer

_IDENTITY_FIELDS: Final = {"format", "network", "node_id", "path", "epoch", "suite", "keys"}


class KeyFolder(SignerFolder):
    """Reads and writes the files of `<data folder>/keys`."""

    def is_enrolled(self) -> bool:
        """Whether this node has an identity."""
        return self.has(IDENTITY)

    def write_identity(self, identity: Identity) -> None:
        """Make this folder the home of `identity`; everything else must be written before."""
        self.write(IDENTITY, _identity_json(identity, FIRST_EPOCH))

    def switch_identity(self, identity: Identity, keys: str) -> None:
        """Go over to another epoch, in one step; the keys of it must be in the folder.

        Args:
            identity: The node in that epoch.
            keys: The epoch whose keys are used, which may be an earlier one.
        """
        self.replace(IDENTITY, _identity_json(identity, keys))

    def active_keys(self) -> str:
        """Return the epoch whose keys this node uses."""
        return _identity_fields(self.read(IDENTITY))["keys"]

    def load_identity(self) -> Identity:
        """Return the node's identity with its signers.

        Raises:
            NotEnrolled: There is none in this folder.
            KeyTainted: The keys that it names must sign nothing any more.
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        if not self.is_enrolled():
            raise errors.NotEnrolled(path=str(self.path.parent))
        fields = _identity_fields(self.read(IDENTITY))
        try:
            node_id = ids.NodeId(ids.id_from_hex(fields["node_id"], "node_id"))
            for epoch in (fields["epoch"], fields["keys"]):
                ids.JournalId(node_id=node_id, channel="node", epoch=epoch)
        except YidaoError:
            raise errors.KeyFileMalformed(name=IDENTITY) from None
        if fields["keys"] in self.tainted():
            raise errors.KeyTainted(keys=fields["keys"])
        names = key_names(fields["keys"])
        journal, cosign = (self.load_signer(name) for name in names)
        suite = fields["suite"]
        if (journal.suite, cosign.suite) != (suite, suite):
            raise errors.KeyFileMalformed(name=names[0])
        try:
            return Identity(
                network=ids.NetworkId(ids.id_from_hex(fields["network"], "network")),
                node_id=node_id,
                path=ids.Path.parse(fields["path"]),
                epoch=fields["epoch"],
                suite=suite,
                journal=journal,
                cosign=cosign,
                cosign_pq=self.load_pq_signer(),
                boxes=self.load_box_keys(),
            )
        except YidaoError:
            raise errors.KeyFileMalformed(name=IDENTITY) from None

    def load_epoch(self, identity: Identity, epoch: str, keys: str) -> Identity:
        """Return a node's identity in an epoch, with every key that opens its letters.

        Args:
            identity: The node in any epoch.
            epoch: The epoch.
            keys: The epoch whose keys are used, which may be an earlier one.

        Raises:
            KeyTainted: Nothing may be signed with them any more.
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        if keys in self.tainted():
            raise errors.KeyTainted(keys=keys)
        signers = [self.load_signer(name) for name in key_names(keys)]
        return replace(
            identity,
            epoch=epoch,
            suite=signers[0].suite,
            journal=signers[0],
            cosign=signers[1],
            boxes=self.load_box_keys(),
        )

    def load_parcel_signer(self) -> Signer:
        """Return the cosigning key that a neighbour surely knows.

        A neighbour without a line learns a new key from a bundle: that is signed with the
        key before it, as long as this is here and not tainted.
        """
        active, tainted = self.active_keys(), self.tainted()
        usable = [each for each in self.key_epochs() if each not in tainted]
        older = [each for each in usable if epoch_count(each) < epoch_count(active)]
        return self.load_signer(key_names(older[-1] if older else active)[1])

    def load_certificates(self) -> NodeCertificates:
        """Return the node's certificates and TLS keys.

        Raises:
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        return NodeCertificates(
            tls_key_pem=self.read(TLS_KEY),
            tls_chain_pem=self.read(TLS_CHAIN),
            root_pem=self.load_root_pem(),
            ca_key_pem=self.read(CA_KEY) if self.has(CA_KEY) else None,
            ca_chain_pem=self.read(CA_CHAIN) if self.has(CA_CHAIN) else b"",
        )

    def load_root_pem(self) -> bytes:
        """Return the root certificates that count: the list's, or the only one there is."""
        if not self.has(ROOT_LIST):
            return self.read(ROOT_CERTIFICATE)
        try:
            return SignedRootList.decode(self.read(ROOT_LIST)).content.pem
        except PeerError:
            raise errors.KeyFileMalformed(name=ROOT_LIST) from None

    def save_chain(self, chain: Chain) -> None:
        """Keep a verified chain, in the place of an older one."""
        entries = [
            {
                "header": _base64(proof.header),
                "part": proof.core.name,
                "salt": _base64(proof.core.salt),
                "body": _base64(proof.core.body),
                "proof": _base64(proof.proof),
            }
            for proof in chain.proofs
        ]
        self.replace(ROOT_STATEMENT, chain.statement)
        self.replace(CHAIN, orjson.dumps(entries, option=orjson.OPT_INDENT_2))

    def load_chain(self) -> Chain:
        """Return the kept chain; whoever relies on it verifies it.

        Raises:
            KeyFileError: A file is missing, exposed, foreign or malformed.
        """
        statement, data = self.read(ROOT_STATEMENT), self.read(CHAIN)
        try:
            proofs = tuple(_proof(entry) for entry in orjson.loads(data))
        except (ValueError, KeyError, TypeError):
            raise errors.KeyFileMalformed(name=CHAIN) from None
        return Chain(statement=statement, proofs=proofs)


def _identity_json(identity: Identity, keys: str) -> bytes:
    members: dict[str, str | int] = {
        "format": 1,
        "network": identity.network.hex(),
        "node_id": identity.node_id.hex(),
        "path": str(identity.path),
        "epoch": identity.epoch,
        "suite": identity.suite,
    }
    if keys != FIRST_EPOCH:
        members["keys"] = keys
    return orjson.dumps(members, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _proof(entry: Mapping[str, str]) -> EnrolmentProof:
    salt, body = (base64.b64decode(entry[name], validate=True) for name in ("salt", "body"))
    return EnrolmentProof(
        header=base64.b64decode(entry["header"], validate=True),
        core=Part(name=entry["part"], salt=salt, body=body),
        proof=base64.b64decode(entry["proof"], validate=True),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class _Fields(TypedDict):
    network: str
    node_id: str
    path: str
    epoch: str
    suite: int
    keys: str


def _identity_fields(data: bytes) -> _Fields:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise errors.KeyFileMalformed(name=IDENTITY) from None
    if not isinstance(fields, dict) or fields.keys() | {"keys"} != _IDENTITY_FIELDS:
        raise errors.KeyFileMalformed(name=IDENTITY)
    suite = fields["suite"]
    if fields.pop("format") != 1 or type(suite) is not int or suite not in SPOKEN.values():
        raise errors.KeyFileMalformed(name=IDENTITY)
    texts = {name: value for name, value in fields.items() if name != "suite"}
    if not all(isinstance(value, str) for value in texts.values()):
        raise errors.KeyFileMalformed(name=IDENTITY)
    # A node that has changed no keys has those that it was enrolled with.
    return cast("_Fields", {"keys": FIRST_EPOCH} | fields)
