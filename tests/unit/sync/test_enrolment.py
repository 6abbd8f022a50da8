from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from yidao.sync import errors
from yidao.sync.enrolment import Enrolment, verify_chain
from yidao.sync.epocherrors import EpochUnknown
from yidao.sync.ids import Path
from yidao.sync.proof import TlogProof, parse_proof
from yidao.sync.rootstatement import RootStatement, open_root_statement
from yidao.sync.suite import Ed25519Signer

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_an_enrolment_is_read_and_written_alike(tree: Any) -> None:
    """The core's JSON has one form, and a later version may add members to it."""
    enrolment = tree.enrolments[1]
    assert Enrolment.decode(enrolment.encode()) == enrolment
    longer = orjson.loads(enrolment.encode()) | {"zone": "added by a later version"}
    assert Enrolment.decode(orjson.dumps(longer, option=orjson.OPT_SORT_KEYS)) == enrolment


@pytest.mark.parametrize(
    ("member", "value", "error"),
    [
        ("node_id", "00", errors.IdInvalid),
        ("node_id", "A" * 32, errors.IdInvalid),
        ("node_id", None, errors.EnrolmentMalformed),
        ("path", "33", errors.PathInvalid),
        ("path", 33, errors.EnrolmentMalformed),
        ("journal_key", "", errors.KeyMalformed),
        ("journal_key", "00" * 32, errors.KeyWeak),
        ("journal_key", "01" + "00" * 31, errors.KeyWeak),
        ("cosign_key", "EC" + "FF" * 31, errors.EnrolmentMalformed),
        ("cosign_key", "zz" * 32, errors.EnrolmentMalformed),
        ("cosign_key", "ec" + "ff" * 30 + "7f", errors.KeyWeak),
        ("suite", "1", errors.EnrolmentMalformed),
        ("suite", True, errors.EnrolmentMalformed),
        ("suite", 2, errors.SuiteUnknown),
        ("tls_sha256", "00", errors.EnrolmentMalformed),
        ("ca_sha256", 1, errors.EnrolmentMalformed),
        ("token_id", 1, errors.EnrolmentMalformed),
        ("operator", [], errors.EnrolmentMalformed),
    ],
)
def test_an_enrolment_with_a_bad_member_is_refused(
    tree: Any, member: str, value: object, error: type[errors.PeerError]
) -> None:
    """Weak keys among them: they never enter the tree."""
    members = orjson.loads(tree.enrolments[1].encode())
    members[member] = value
    with pytest.raises(error):
        Enrolment.decode(orjson.dumps(members, option=orjson.OPT_SORT_KEYS))
    del members[member]
    with pytest.raises(errors.EnrolmentMalformed):
        Enrolment.decode(orjson.dumps(members, option=orjson.OPT_SORT_KEYS))


def test_one_key_for_two_purposes_is_refused(tree: Any) -> None:
    """Journal and cosigning keys differ."""
    node = tree.enrolments[1]
    with pytest.raises(errors.EnrolmentMalformed):
        Enrolment.decode(replace(node, cosign_key=node.journal_key).encode())


def test_json_in_another_form_is_refused(tree: Any) -> None:
    """Spaces, another order, a repeated member, other types, too much."""
    good = tree.enrolments[1].encode()
    for wrong in (
        b"",
        b"[]",
        b"null",
        b"{",
        b" " + good,
        good.replace(b":", b": ", 1),
        b'{"z":1,' + good[1:],
        good[:-1] + b',"path":"/34"}',
        b'{"path":"/34",' + good[1:],
        good[:-1] + b',"z":"' + b"a" * 8_192 + b'"}',
        b"[" * 4000,
        b"\xff",
    ):
        with pytest.raises(errors.EnrolmentMalformed):
            Enrolment.decode(wrong)


def test_a_chain_leads_from_the_root_to_a_node(tree: Any) -> None:
    """The root stands first, each tier follows, the node is last."""
    assert [str(e.path) for e in verify_chain(tree.root_pem, tree.statement, ())] == ["/"]
    chain = verify_chain(tree.root_pem, tree.statement, tree.proofs)
    assert chain[1:] == tuple(tree.enrolments[1:])
    assert chain[0].journal_key == tree.enrolments[0].journal_key


def test_the_roots_own_enrolment_may_stand_first(tree: Any) -> None:
    """It then gives what the statement does not say, such as the TLS key."""
    root = tree.enrolments[0]
    own = tree.enrol(root, root)
    assert verify_chain(tree.root_pem, tree.statement, [own, *tree.proofs]) == tuple(
        tree.enrolments
    )
    with pytest.raises(errors.EnrolmentChainBroken):
        verify_chain(tree.root_pem, tree.statement, [own, own])
    stolen = replace(root, journal_key=tree.enrolments[1].journal_key)
    with pytest.raises(errors.EnrolmentChainBroken):
        verify_chain(tree.root_pem, tree.statement, [tree.enrol(root, stolen)])


def test_an_enrolment_in_an_epoch_that_nothing_opened_is_refused(tree: Any) -> None:
    """The key is the enrolled one; yet nobody could say where the epoch before it ended."""
    header = tree.proofs[0].header
    proof = tree.prove(tree.enrolments[0], header, epoch="2-0123456789abcdef").encode()
    with pytest.raises(EpochUnknown):
        verify_chain(tree.root_pem, tree.statement, [replace(tree.proofs[0], proof=proof)])


@pytest.mark.parametrize("path", ["/", "/33", "/34", "/34/3301", "/330"])
def test_a_tier_vouches_only_for_what_lies_below_it(tree: Any, path: str) -> None:
    """A province cannot enrol itself, its sibling, or another's child."""
    province = tree.enrolments[1]
    proof = tree.enrol(province, replace(tree.enrolments[2], path=Path.parse(path)))
    with pytest.raises(errors.EnrolmentChainBroken):
        verify_chain(tree.root_pem, tree.statement, [tree.proofs[0], proof])


def test_a_chain_with_a_missing_or_swapped_step_is_refused(tree: Any) -> None:
    """Each step needs the one before it."""
    for proofs in (tree.proofs[1:], tree.proofs[::-1], [tree.proofs[0], tree.proofs[0]]):
        with pytest.raises(errors.EnrolmentMalformed):
            verify_chain(tree.root_pem, tree.statement, proofs)


def test_a_chain_longer_than_any_tree_is_refused_at_once(tree: Any) -> None:
    """No work is done for it."""
    with pytest.raises(errors.EnrolmentChainBroken) as caught:
        verify_chain(tree.root_pem, tree.statement, [tree.proofs[0]] * 65)
    assert caught.value.params["reason"] == "length"


def test_a_step_whose_pieces_do_not_belong_together_is_refused(tree: Any) -> None:
    """Another core, header, proof, kind, network or channel breaks the chain."""
    root, province = tree.enrolments[:2]
    good = tree.proofs[0]
    core = good.core._replace(body=tree.enrolments[2].encode())
    other = tree.header(root, "node.child.enrolled", good.core, created_ms=1).encode()
    up_channel = tree.prove(root, good.header, channel="up:15")
    tlog = parse_proof(good.proof)
    other_index = TlogProof(index=2, path=tlog.path, checkpoint=tlog.checkpoint)
    other_kind = tree.header(root, "node.child.revoked", good.core).encode()
    no_core = tree.header(root, "node.child.enrolled", good.core, parts=()).encode()
    foreign = tree.enrol(root, province, network=bytes(16))
    for wrong, error in (
        (replace(good, core=core), errors.PartCommitmentMismatch),
        (replace(good, core=good.core._replace(name="pii")), errors.PartUnknown),
        (replace(good, header=other), errors.ProofInvalid),
        (replace(good, header=b""), errors.HeaderFieldInvalid),
        (replace(good, proof=b""), errors.ProofMalformed),
        (replace(good, proof=other_index.encode()), errors.ProofInvalid),
        (replace(good, proof=tree.proofs[1].proof), errors.EnrolmentMalformed),
        (replace(good, proof=up_channel.encode()), errors.EnrolmentMalformed),
        (
            replace(good, header=other_kind, proof=tree.prove(root, other_kind).encode()),
            errors.EnrolmentMalformed,
        ),
        (
            replace(good, header=no_core, proof=tree.prove(root, no_core).encode()),
            errors.EnrolmentMalformed,
        ),
        (foreign, errors.EnrolmentMalformed),
    ):
        with pytest.raises(error):
            verify_chain(tree.root_pem, tree.statement, [wrong])


def test_another_key_in_the_enrollers_name_is_refused(tree: Any) -> None:
    """A thief without the root's journal key enrols nobody."""

    class Thief(type(tree)):  # type: ignore[misc]
        @staticmethod
        def signer(path: str, purpose: str) -> Ed25519Signer:
            return Ed25519Signer(sha256(b"thief").digest())

    forged = Thief.enrol(Thief.__new__(Thief), tree.enrolments[0], tree.enrolments[1])
    with pytest.raises(errors.NoteUnsigned):
        verify_chain(tree.root_pem, tree.statement, [forged])


def test_the_statement_opens_with_the_root_certificate_only(tree: Any) -> None:
    """Its bytes are the agreed ones, and the certificate's dates do not matter."""
    statement = open_root_statement(tree.statement, tree.root_pem)
    root = tree.enrolments[0]
    assert tree.statement.startswith(
        f"yidao-root-v1\n{statement.network.hex()}\n{root.node_id.hex()}\n"
        f"{root.journal_key.hex()}\n{root.cosign_key.hex()}\n".encode()
    )
    stranger = certificate(ec.derive_private_key(5, ec.SECP256R1()))
    with pytest.raises(errors.RootStatementInvalid) as caught:
        open_root_statement(tree.statement, stranger)
    assert caught.value.params["reason"] == "signature"


def test_a_changed_statement_is_refused(tree: Any) -> None:
    """Each changed line, a line more or less, other line ends."""
    lines = tree.statement.split(b"\n")
    changed = [
        b"\n".join([*lines[:n], lines[n][:-1] + b"0", *lines[n + 1 :]])
        for n in range(6)
        if not lines[n].endswith(b"0")
    ]
    assert len(changed) >= 4
    for wrong in (
        *changed,
        b"",
        tree.statement[:-1],
        tree.statement + b"\n",
        tree.statement.replace(b"\n", b"\r\n"),
        b"\n".join(lines[1:]),
        tree.statement + b"a" * 2000,
        tree.statement.replace(lines[5], b"\xff"),
        tree.statement.replace(lines[5], b""),
    ):
        with pytest.raises(errors.RootStatementInvalid):
            open_root_statement(wrong, tree.root_pem)


@pytest.mark.parametrize("text", [b"zz" * 16, b"", b"AB" * 16, b"ab " * 16])
def test_a_signed_statement_in_another_form_is_refused(tree: Any, text: bytes) -> None:
    """The root's signature does not excuse the form."""
    lines = tree.statement.split(b"\n")
    body = b"\n".join([lines[0], text, *lines[2:5]]) + b"\n"
    signed = sign_text(tree, body)
    with pytest.raises((errors.RootStatementInvalid, errors.IdInvalid)):
        open_root_statement(signed, tree.root_pem)


def test_a_signed_statement_with_a_weak_key_is_refused(tree: Any) -> None:
    """Neither signing nor opening lets it through."""
    lines = tree.statement.split(b"\n")
    body = b"\n".join([*lines[:3], b"00" * 32, lines[4]]) + b"\n"
    with pytest.raises(errors.KeyWeak):
        open_root_statement(sign_text(tree, body), tree.root_pem)
    root = tree.enrolments[0]
    weak = RootStatement(
        network=open_root_statement(tree.statement, tree.root_pem).network,
        node_id=root.node_id,
        journal_key=bytes(32),
        cosign_key=root.cosign_key,
    )
    with pytest.raises(errors.KeyWeak):
        weak.sign(tree.root_key)


def test_anything_but_p256_certificates_is_no_anchor(tree: Any) -> None:
    """The same certificate twice, another curve, a key, or rubbish."""
    for wrong in (
        b"",
        b"rubbish",
        tree.root_pem * 2,
        certificate(ec.derive_private_key(5, ec.SECP384R1())),
        tree.root_pem.replace(b"CERTIFICATE", b"PUBLIC KEY"),
        tree.root_pem + bytes(20_000),
    ):
        with pytest.raises(errors.RootStatementInvalid) as caught:
            open_root_statement(tree.statement, wrong)
        assert caught.value.params["reason"] == "certificate"


def test_a_statement_signature_in_another_encoding_is_refused(tree: Any) -> None:
    """DER with bytes behind it, r = 0, s = n, no DER at all (corpus row 58)."""
    body = b"\n".join(tree.statement.split(b"\n")[:5]) + b"\n"
    true = tree.root_key.sign(body, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(true)
    for wrong in (
        true + b"\0",
        encode_dss_signature(0, s),
        encode_dss_signature(r, P256_ORDER),
        true[:1] + b"\x81" + true[1:],
        r.to_bytes(32) + s.to_bytes(32),
        bytes(64),
    ):
        with pytest.raises(errors.RootStatementInvalid) as caught:
            open_root_statement(body + b64encode(wrong) + b"\n", tree.root_pem)
        assert caught.value.params["reason"] == "signature"


def sign_text(tree: Any, body: bytes) -> bytes:
    signature = tree.root_key.sign(body, ec.ECDSA(hashes.SHA256()))
    return body + b64encode(signature) + b"\n"


def certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sample")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    builder = builder.not_valid_before(start).not_valid_after(start)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
