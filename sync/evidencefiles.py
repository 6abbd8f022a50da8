"""The pieces that evidence files are made of, put in and taken out one way.

Whoever takes a piece out has it verified: a record that comes out of
`take_record` is its author's, in the author's journal, with the parts that its
header commits to. Entries are taken away as they are read, so that what is left
over is known to be nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from yidao.sync import errors
from yidao.sync.archive import read_archive
from yidao.sync.checkpoint import Checkpoint, parse_checkpoint, verify_cosignature
from yidao.sync.enrolment import MAX_PROOFS, Enrolment
from yidao.sync.ids import JournalId, NetworkId, NodeId, Path, cosigner_name
from yidao.sync.message import EnrolmentProof
from yidao.sync.note import TYPE_COSIGNATURE, TYPE_ED25519, key_id, parse_note
from yidao.sync.proof import TlogProof, parse_proof, verify_proof
from yidao.sync.record import Header, Part, check_part, decode_header

MANIFEST: Final = "manifest.json"
STATEMENT: Final = "root-statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A tier that held the journal up to the checkpoint, at the latest at `time_s` (Unix)."""

    node_id: NodeId
    path: Path
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenRecord:
    """A record that was verified under its author's key.

    Attributes:
        raw: The exact header bytes, the leaf of the journal.
        origin: The node that wrote it.
        tiers: The nodes above it, its parent first.
        parts: Those that were given and are what the header commits to.
        cosigners: Who of `tiers` cosigned, nearest first.
    """

    raw: bytes
    header: Header
    origin: Enrolment
    tiers: tuple[Enrolment, ...]
    journal: JournalId
    seq: int
    proof: TlogProof
    checkpoint: Checkpoint
    parts: tuple[Part, ...]
    cosigners: tuple[Cosigner, ...]

    def body(self, name: str) -> bytes | None:
        """Give the body of a part; None if it was not given."""
        return next((part.body for part in self.parts if part.name == name), None)


def manifest_of(format_: str, entries: Mapping[str, bytes]) -> bytes:
    """Return the manifest over all other entries: finds damage early, authenticates nothing."""
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in entries.items()}
    return orjson.dumps({"format": format_, "files": digests}, option=orjson.OPT_SORT_KEYS)


def has_format(data: bytes, format_: str) -> bool:
    """Tell whether a file says that it is of a format; raises `EvidenceMalformed` for no zip."""
    files = read_archive(data)
    return files.pop(MANIFEST, None) == manifest_of(format_, files)


def open_files(data: bytes, format_: str) -> dict[str, bytes]:
    """Return the entries of a file beside its manifest.

    Raises:
        EvidenceMalformed: See `read_archive`.
        EvidenceIncomplete: There is no manifest.
        EvidenceMismatch: The manifest is of another format or of other entries.
    """
    files = read_archive(data)
    if take(files, MANIFEST) != manifest_of(format_, files):
        raise errors.EvidenceMismatch(reason="manifest")
    return files


def take(files: dict[str, bytes], name: str) -> bytes:
    """Take an entry away; raises `EvidenceIncomplete` where it is not there."""
    body = files.pop(name, None)
    if body is None:
        raise errors.EvidenceIncomplete(missing=name)
    return body


def chain_entries(chain: Sequence[EnrolmentProof]) -> dict[str, bytes]:
    """Return the entries of enrolments from the root down."""
    entries = {}
    for number, enrolment in enumerate(chain):
        folder = f"chain/{number:02}"
        entries[f"{folder}/header"] = enrolment.header
        entries[f"{folder}/salt"] = enrolment.core.salt
        entries[f"{folder}/body"] = enrolment.core.body
        entries[f"{folder}/proof.tlog-proof"] = enrolment.proof
    return entries


def take_chain(files: dict[str, bytes]) -> list[EnrolmentProof]:
    """Take the enrolments away, at most one more than a chain may have; `verify_chain` judges."""
    proofs: list[EnrolmentProof] = []
    while len(proofs) <= MAX_PROOFS and f"chain/{len(proofs):02}/header" in files:
        folder = f"chain/{len(proofs):02}"
        proofs.append(
            EnrolmentProof(
                header=take(files, f"{folder}/header"),
                core=Part(
                    name="core",
                    salt=take(files, f"{folder}/salt"),
                    body=take(files, f"{folder}/body"),
                ),
                proof=take(files, f"{folder}/proof.tlog-proof"),
            )
        )
    return proofs


def record_entries(
    folder: str, *, header: bytes, proof: bytes, parts: Sequence[Part]
) -> dict[str, bytes]:
    """Return the entries of one record.

    Raises:
        EvidenceMismatch: A part that the header does not name.
    """
    names = [digest.name for digest in decode_header(header).parts]
    entries = {f"{folder}/header": header, f"{folder}/proof.tlog-proof": proof}
    for part in parts:
        if part.name not in names:
            raise errors.EvidenceMismatch(reason="part not in header")
        place = f"{folder}/parts/{names.index(part.name)}"
        entries[f"{place}/salt"] = part.salt
        entries[f"{place}/body"] = part.body
    return entries


def take_record(
    files: dict[str, bytes], folder: str, network: NetworkId, chain: Sequence[Enrolment]
) -> ProvenRecord:
    """Take a record away, verified.

    1. The header is of this network, by a node of the chain.
    2. The checkpoint is of a journal of that node, signed by its journal key of that
       epoch, not beyond its end, and the header is in its tree.
    3. Each part that was given is what the header commits to.
    4. Every cosignature by a tier above that node verifies.

    Args:
        files: What is left of the file.
        folder: Where the record lies in it.
        network: Of the root statement.
        chain: Verified enrolments from the root down.

    Raises:
        EvidenceIncomplete: An entry is missing.
        PeerError: The first step that fails.
    """
    header_bytes = take(files, f"{folder}/header")
    header = decode_header(header_bytes)
    if header.network != network:
        raise errors.EvidenceMismatch(reason="another network")
    at = next((n for n, each in enumerate(chain) if each.node_id == header.node_id), None)
    if at is None:
        raise errors.EvidenceMismatch(reason="author not in chain")
    origin, tiers = chain[at], tuple(reversed(chain[:at]))

    proof = parse_proof(take(files, f"{folder}/proof.tlog-proof"))
    journal = _journal_of(proof, network, origin)
    key = origin.key_of(journal.epoch)
    checkpoint = verify_proof(proof, header_bytes, journal.origin(network), key.journal_key)
    origin.check_end(journal, checkpoint.size)
    return ProvenRecord(
        raw=header_bytes,
        header=header,
        origin=origin,
        tiers=tiers,
        journal=journal,
        seq=proof.index,
        proof=proof,
        checkpoint=checkpoint,
        parts=_take_parts(files, folder, header),
        cosigners=_cosigners(proof.checkpoint, tiers, network),
    )


def check_lines(record: ProvenRecord, network: NetworkId) -> None:
    """Return only if a record's proof bears nothing but what was verified.

    A note may bear lines of anybody; in a file of one form, a line whose key is not
    known would be a place to hide something, or a cosignature that was damaged.

    Raises:
        EvidenceMalformed: A line that is neither the author's nor of a tier above,
            or extra data.
    """
    tiers = [(tier.node_id, key) for tier in record.tiers for key in tier.cosign_keys]
    journal_key = record.origin.key_of(record.journal.epoch).journal_key
    if with_known_lines(record.proof, network, journal_key, tiers) != record.proof:
        raise errors.EvidenceMalformed(reason="unknown line")


def with_known_lines(
    proof: TlogProof,
    network: NetworkId,
    journal_key: bytes,
    tiers: Sequence[tuple[NodeId, bytes]],
) -> TlogProof:
    """Return a proof with the lines of its author and of some tiers alone, each once.

    A store may hold a cosignature of a tier that stands above no more.

    Args:
        proof: Of the author's journal.
        network: Whose cosigners are named.
        journal_key: The author's, of that journal's epoch.
        tiers: Node and cosigning key.
    """
    origin = parse_checkpoint(proof.checkpoint).origin
    known = {(origin, key_id(origin, TYPE_ED25519, journal_key))}
    for node_id, cosign_key in tiers:
        name = cosigner_name(network, node_id)
        known.add((name, key_id(name, TYPE_COSIGNATURE, cosign_key)))
    note = parse_note(proof.checkpoint)
    lines = [each.line() for each in note.signatures if (each.name, each.key_id) in known]
    body = "\n".join(dict.fromkeys(lines))
    checkpoint = f"{note.text}\n{body}\n".encode()
    return TlogProof(index=proof.index, path=proof.path, checkpoint=checkpoint)


def _take_parts(files: dict[str, bytes], folder: str, header: Header) -> tuple[Part, ...]:
    parts = []
    for number, digest in enumerate(header.parts):
        place = f"{folder}/parts/{number}"
        if f"{place}/body" not in files:
            continue
        part = Part(
            name=digest.name,
            salt=take(files, f"{place}/salt"),
            body=take(files, f"{place}/body"),
        )
        check_part(digest, part)
        parts.append(part)
    return tuple(parts)


def _journal_of(proof: TlogProof, network: NetworkId, origin: Enrolment) -> JournalId:
    """Return which of the origin's journals the checkpoint claims; not yet verified."""
    claimed_network, journal = JournalId.parse_origin(parse_checkpoint(proof.checkpoint).origin)
    if claimed_network != network or journal.node_id != origin.node_id:
        raise errors.EvidenceMismatch(reason="journal is not the origin's")
    return journal


def _cosigners(
    checkpoint: bytes, tiers: Sequence[Enrolment], network: NetworkId
) -> tuple[Cosigner, ...]:
    """Return who of `tiers` cosigned; refuse a cosignature of theirs that fails."""
    found = []
    signatures = parse_note(checkpoint).signatures
    for tier in tiers:
        name = cosigner_name(network, tier.node_id)
        keys = {key_id(name, TYPE_COSIGNATURE, key): key for key in tier.cosign_keys}
        times = [
            verify_cosignature(checkpoint, signature.line(), name, keys[signature.key_id])
            for signature in signatures
            if signature.name == name and signature.key_id in keys
        ]
        if times:
            found.append(Cosigner(node_id=tier.node_id, path=tier.path, time_s=min(times)))
    return tuple(found)
