"""Bad certificates, chains and certificate requests (rows 65 to 82 and 84 of the corpus).

Every row is made here with real keys and one thing wrong, and must end in one
typed error of the peer check. The same tree with nothing wrong passes.
"""

import base64
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from yidao.api.link.v1 import link_pb2
from yidao.node.link import certificates, errors
from yidao.node.link.join import _check_authority
from yidao.node.link.joinrequest import csr_key
from yidao.node.link.peercheck import MAX_CERTIFICATES, Enrolled, Peer, check_peer, peer_chain
from yidao.sync.ids import NetworkId, NodeId, Path

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NETWORK = NetworkId(bytes(range(16)))


def node_of(path: Path) -> NodeId:
    """Return a node id that is made from the path."""
    return NodeId(str(path).encode().ljust(16, b".")[:16])


@dataclass(frozen=True)
class Office:
    """One node's keys and certificates."""

    path: Path
    key: EllipticCurvePrivateKey
    leaf: x509.Certificate
    authority: certificates.Authority
    issuer: certificates.Authority

    @property
    def chain(self) -> list[x509.Certificate]:
        """The chain that it presents, leaf first."""
        above = (
            x509.load_pem_x509_certificates(self.issuer.chain_pem) if self.path.labels[1:] else []
        )
        return [self.leaf, *above]

    @property
    def enrolled(self) -> Enrolled:
        """What its parent knows of it."""
        sha256 = certificates.key_sha256(self.key.public_key())
        return Enrolled(path=self.path, tls_sha256=sha256)


def root_office(now: datetime = NOW) -> Office:
    """Return a new root."""
    ca_key, key = certificates.generate_key(), certificates.generate_key()
    root = certificates.Authority(
        key=ca_key, certificate=certificates.issue_root(ca_key, NETWORK, now), chain_pem=b""
    )
    leaf = certificates.issue_leaf(root, key.public_key(), NETWORK, node_of(Path()), Path(), now)
    return Office(path=Path(), key=key, leaf=leaf, authority=root, issuer=root)


def child_office(parent: Office, label: str, now: datetime = NOW) -> Office:
    """Return a new child of `parent`, certified by it."""
    path = parent.path.child(label)
    key, ca_key = certificates.generate_key(), certificates.generate_key()
    leaf = certificates.issue_leaf(
        parent.authority, key.public_key(), NETWORK, node_of(path), path, now
    )
    tier = certificates.issue_tier(parent.authority, ca_key.public_key(), node_of(path), path, now)
    assert tier is not None
    authority = certificates.Authority(
        key=ca_key,
        certificate=tier,
        chain_pem=certificates.to_pem(tier) + parent.authority.chain_pem,
    )
    return Office(path=path, key=key, leaf=leaf, authority=authority, issuer=parent.authority)


def pem(chain: list[x509.Certificate]) -> bytes:
    """Return certificates as one PEM text."""
    return b"".join(certificates.to_pem(certificate) for certificate in chain)


Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def reissue(
    certificate: x509.Certificate,
    issuer_key: EllipticCurvePrivateKey,
    *,
    drop: tuple[type[x509.ExtensionType], ...] = (),
    change: Change = lambda builder: builder,
    public_key: object = None,
    subject: x509.Name | None = None,
) -> x509.Certificate:
    """Return a copy of a certificate with something changed, signed by `issuer_key`.

    Extensions of a class in `drop` are left out; `change` may add others.
    """
    builder = x509.CertificateBuilder(
        issuer_name=certificate.issuer,
        subject_name=certificate.subject if subject is None else subject,
        public_key=public_key or certificate.public_key(),  # type: ignore[arg-type]
        serial_number=certificate.serial_number,
        not_valid_before=certificate.not_valid_before_utc,
        not_valid_after=certificate.not_valid_after_utc,
    )
    for extension in certificate.extensions:
        if not isinstance(extension.value, drop):
            builder = builder.add_extension(extension.value, extension.critical)
    return change(builder).sign(issuer_key, hashes.SHA256())


@dataclass(frozen=True)
class Tree:
    """Root, province, city and county with their certificates."""

    root: Office
    province: Office
    city: Office
    county: Office


@pytest.fixture(scope="module")
def tree() -> Tree:
    """A tree of four tiers."""
    root = root_office()
    province = child_office(root, "33")
    city = child_office(province, "3301")
    return Tree(root, province, city, child_office(city, "330106"))


def check(tree: Tree, chain_pem: bytes, office: Office, now: datetime = NOW) -> Peer:
    """Check a chain as the peer that `office` is enrolled as."""
    return check_peer(
        chain_pem,
        root_pem=certificates.to_pem(tree.root.authority.certificate),
        network=NETWORK,
        now=now,
        enrolled=lambda node: office.enrolled if node == node_of(office.path) else None,
    )


@pytest.mark.parametrize("tier", ["root", "province", "city", "county"])
def test_every_tier_passes(tree: Tree, tier: str) -> None:
    """A node of any tier is recognised by its own chain."""
    office: Office = getattr(tree, tier)
    peer = check(tree, pem(office.chain), office)
    assert (office.path, node_of(office.path)) == (peer.path, peer.node_id)
    assert office.enrolled.tls_sha256 == peer.tls_sha256


def test_greatest_depth(tree: Tree) -> None:
    """A node 15 tiers down still has a chain that verifies, and no authority of its own."""
    office = tree.root
    for tier in range(14):
        office = child_office(office, f"t{tier}")
    path, key = office.path.child("last"), certificates.generate_key()
    leaf = certificates.issue_leaf(
        office.authority, key.public_key(), NETWORK, node_of(path), path, NOW
    )
    tier = certificates.issue_tier(office.authority, key.public_key(), node_of(path), path, NOW)
    last = Office(
        path=path, key=key, leaf=leaf, authority=office.authority, issuer=office.authority
    )
    assert tier is None
    assert path == check(tree, pem(last.chain), last).path


# One change to the county's own certificate, signed again by the city.

SAN = x509.SubjectAlternativeName


def names(*values: x509.GeneralName) -> Change:
    """Return a change that puts exactly these names into a certificate."""
    return lambda builder: builder.add_extension(SAN(values), critical=True)


def county_uri(path: str = "/33/3301/330106", node: NodeId | None = None) -> x509.GeneralName:
    """Return the county's URI, or one that is a little off."""
    node = node or node_of(Path.parse("/33/3301/330106"))
    return x509.UniformResourceIdentifier._init_without_validation(
        f"yidao://{NETWORK.hex()}/{node.hex()}{path}"
    )


def dns(text: str = "330106.3301.33.yidao.internal") -> x509.GeneralName:
    """Return a DNS name."""
    return x509.DNSName._init_without_validation(text)


def add(extension: x509.ExtensionType, critical: bool = True) -> Change:
    """Return a change that adds an extension."""
    return lambda builder: builder.add_extension(extension, critical)


USAGE_OF_AUTHORITY = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
OTHER_NODE = NodeId(b"x" * 16)

LEAVES: dict[str, tuple[tuple[type[x509.ExtensionType], ...], Change, str]] = {
    "67 a leaf that is an authority": (
        (x509.BasicConstraints,),
        add(x509.BasicConstraints(ca=True, path_length=None)),
        "PEER_CHAIN_UNTRUSTED",
    ),
    "68 a leaf that may sign certificates": (
        (x509.KeyUsage,),
        add(USAGE_OF_AUTHORITY),
        "PEER_CHAIN_UNTRUSTED",
    ),
    "69 two URIs": (
        (SAN,),
        names(county_uri(), county_uri("/33/3301/330107"), dns()),
        "PEER_NAMES_INVALID",
    ),
    "69 two DNS names": (
        (SAN,),
        names(county_uri(), dns(), dns("x.330106.3301.33.yidao.internal")),
        "PEER_NAMES_INVALID",
    ),
    "70 a URI and no DNS name": ((SAN,), names(county_uri()), "PEER_NAMES_INVALID"),
    "70 no names at all": ((SAN,), lambda builder: builder, "PEER_CHAIN_UNTRUSTED"),
    "70 an address beside the names": (
        (SAN,),
        names(county_uri(), dns(), x509.RFC822Name("a@b.yidao.internal")),
        "PEER_NAMES_INVALID",
    ),
    "71 a DNS name outside the subtree": (
        (SAN,),
        names(county_uri(), dns("330106.3302.33.yidao.internal")),
        "PEER_CHAIN_UNTRUSTED",
    ),
    "72 a wildcard": (
        (SAN,),
        names(county_uri(), dns("*.3301.33.yidao.internal")),
        "PEER_NAMES_INVALID",
    ),
    "73 URI and DNS name of two nodes": (
        (SAN,),
        names(county_uri("/33/3301/330107"), dns()),
        "PEER_NAMES_INVALID",
    ),
    "73 the city's own name": (
        (SAN,),
        names(county_uri("/33/3301"), dns("3301.33.yidao.internal")),
        "PEER_AUTHORITY_WRONG",
    ),
    "73 a grandchild signed for past its parent": (
        (SAN,),
        names(county_uri("/33/3301/330106/9"), dns("9.330106.3301.33.yidao.internal")),
        "PEER_AUTHORITY_WRONG",
    ),
    "73 another node at the same path": (
        (SAN,),
        names(county_uri(node=OTHER_NODE), dns()),
        "PEER_NOT_ENROLLED",
    ),
    "76 an unknown critical extension": ((), add(UNKNOWN), "PEER_CHAIN_UNTRUSTED"),
    "77 no purposes": (
        (x509.ExtendedKeyUsage,),
        add(x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.37"), b"\x30\x00")),
        "PEER_CHAIN_MALFORMED",
    ),
    "77 purposes that leave out TLS clients": (
        (x509.ExtendedKeyUsage,),
        add(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False),
        "PEER_CHAIN_UNTRUSTED",
    ),
    "81 an extension of 1 MiB": (
        (),
        add(x509.UnrecognizedExtension(UNKNOWN.oid, bytes(1 << 20)), critical=False),
        "PEER_CHAIN_TOO_LONG",
    ),
}
PATHS = {
    "percent signs": "/33/3301/%33%330106",
    "two dots": "/33/3301/../3301/330106",
    "a double slash": "/33//3301/330106",
    "a slash at the end": "/33/3301/330106/",
    "upper case": "/33/3301/A30106",
    "a trailing dot": "/33/3301/330106.",
    "full-width digits": "/33/3301/３３0106",
    "a homoglyph": "/33/3301/33\u043e106",
    "a NUL": "/33/3301/330106\x00",
    "no path": "",
    "a query": "/33/3301/330106?x=1",
}
LEAVES |= {
    f"74 a path with {name}": ((SAN,), names(county_uri(path), dns()), "PEER_")
    for name, path in PATHS.items()
}


@pytest.mark.parametrize("row", LEAVES)
def test_bad_leaf(tree: Tree, row: str) -> None:
    """A node's certificate with one thing wrong is refused, though its issuer signed it."""
    drop, change, code = LEAVES[row]
    try:
        leaf = reissue(tree.county.leaf, tree.city.authority.key, drop=drop, change=change)
    except (UnicodeEncodeError, ValueError) as impossible:
        pytest.fail(f"the row cannot be made: {impossible}")
    with pytest.raises(errors.PeerCheckError) as raised:
        check(tree, pem([leaf, *tree.county.chain[1:]]), tree.county)
    assert raised.value.code.startswith(code)


def test_key_of_another_certificate(tree: Tree) -> None:
    """A certificate that the parent issued for another key than the enrolled is refused."""
    other = certificates.generate_key()
    leaf = reissue(tree.county.leaf, tree.city.authority.key, public_key=other.public_key())
    with pytest.raises(errors.PeerKeyMismatch):
        check(tree, pem([leaf, *tree.county.chain[1:]]), tree.county)


def test_path_that_was_left(tree: Tree) -> None:
    """A node whose enrolment names another path now is refused at its old one."""
    moved = Enrolled(path=Path.parse("/33/3302/x"), tls_sha256=tree.county.enrolled.tls_sha256)
    with pytest.raises(errors.PeerPathMismatch):
        check_peer(
            pem(tree.county.chain),
            root_pem=certificates.to_pem(tree.root.authority.certificate),
            network=NETWORK,
            now=NOW,
            enrolled=lambda _node: moved,
        )


def test_other_network(tree: Tree) -> None:
    """A node of another network is refused, even one under the same root key."""
    with pytest.raises(errors.PeerNetworkMismatch):
        check_peer(
            pem(tree.county.chain),
            root_pem=certificates.to_pem(tree.root.authority.certificate),
            network=NetworkId(bytes(16)),
            now=NOW,
            enrolled=lambda _node: tree.county.enrolled,
        )


TIMES = {
    "65 a leaf that expired": (certificates.LEAF_LIFE + dt.timedelta(seconds=1), "EXPIRED"),
    "65 a tier that expired": (certificates.TIER_LIFE + dt.timedelta(seconds=1), "EXPIRED"),
    "65 not valid yet": (-certificates.BACKDATE - dt.timedelta(seconds=1), "EARLY"),
    "126 a clock at zero": (datetime(1970, 1, 1, tzinfo=UTC) - NOW, "EARLY"),
}


@pytest.mark.parametrize("row", TIMES)
def test_bad_time(tree: Tree, row: str) -> None:
    """A chain is refused outside the time of any of its certificates."""
    offset, word = TIMES[row]
    with pytest.raises(errors.PeerCheckError) as raised:
        check(tree, pem(tree.county.chain), tree.county, NOW + offset)
    assert raised.value.code == f"PEER_CERTIFICATE_{word}"


def test_last_moment(tree: Tree) -> None:
    """A leaf counts up to and with its last second."""
    assert check(tree, pem(tree.county.chain), tree.county, NOW + certificates.LEAF_LIFE)


def test_chain_of_another_root(tree: Tree) -> None:
    """A whole tree under a root of the same name is not this network (row 66)."""
    other = root_office()
    city = child_office(child_office(other, "33"), "3301")
    impostor = child_office(city, "330106")
    with pytest.raises(errors.PeerChainUntrusted):
        check(tree, pem(impostor.chain), impostor)


def test_self_signed(tree: Tree) -> None:
    """A certificate that signed itself proves nothing, whatever it names (row 66)."""
    key = certificates.generate_key()
    leaf = reissue(tree.county.leaf, key, public_key=key.public_key())
    with pytest.raises(errors.PeerCheckError):
        check(tree, pem([leaf]), tree.county)


def test_tier_passed_over(tree: Tree) -> None:
    """The root cannot certify a city behind its province's back."""
    path, key = Path.parse("/33/3301"), certificates.generate_key()
    root = tree.root.authority
    leaf = certificates.issue_leaf(root, key.public_key(), NETWORK, node_of(path), path, NOW)
    with pytest.raises(errors.PeerAuthorityWrong):
        check(tree, pem([leaf]), tree.city)


def test_path_length_exceeded(tree: Tree) -> None:
    """An authority below the depth that its parent was given is refused (row 75)."""
    short = child_office(tree.root, "34")
    fence = x509.BasicConstraints(ca=True, path_length=0)
    tier = reissue(
        short.authority.certificate,
        tree.root.authority.key,
        drop=(x509.BasicConstraints,),
        change=add(fence),
    )
    above = certificates.Authority(
        key=short.authority.key, certificate=tier, chain_pem=certificates.to_pem(tier)
    )
    # `issue_tier` itself refuses; a dishonest tier would not.
    assert certificates.issue_tier(above, tier.public_key(), OTHER_NODE, short.path, NOW) is None  # type: ignore[arg-type]
    liar = certificates.Authority(
        key=above.key, certificate=short.authority.certificate, chain_pem=above.chain_pem
    )
    lower = child_office(
        Office(path=short.path, key=short.key, leaf=short.leaf, authority=liar, issuer=liar), "3401"
    )
    victim = child_office(lower, "340101")
    with pytest.raises(errors.PeerChainUntrusted):
        check(tree, pem(victim.chain), victim)


def test_tier_without_fence(tree: Tree) -> None:
    """An authority without a name constraint is refused, though its parent signed it."""
    tier = reissue(
        tree.city.authority.certificate,
        tree.province.authority.key,
        drop=(x509.NameConstraints,),
    )
    with pytest.raises(errors.PeerCheckError):
        check(tree, pem([tree.county.leaf, tier, *tree.county.chain[2:]]), tree.county)


WEAK_KEYS: dict[str, Callable[[], object]] = {
    "78 RSA of 512 bits": lambda: rsa.RSAPublicNumbers(65537, (1 << 511) + 111).public_key(),
    "78 RSA of 2,048 bits": lambda: rsa.generate_private_key(65537, 2048).public_key(),
    "78 RSA of 16,384 bits": lambda: rsa.RSAPublicNumbers(65537, (1 << 16383) + 1).public_key(),
    "78 P-384": lambda: ec.generate_private_key(ec.SECP384R1()).public_key(),
    "78 secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()).public_key(),
    "79 Ed25519": lambda: ed25519.Ed25519PrivateKey.generate().public_key(),
}


@pytest.mark.parametrize("row", WEAK_KEYS)
def test_bad_key_kind(tree: Tree, row: str) -> None:
    """Only P-256 is a key of this network, whatever a dishonest tier signs for."""
    leaf = reissue(tree.county.leaf, tree.city.authority.key, public_key=WEAK_KEYS[row]())
    with pytest.raises(errors.PeerCheckError):
        check(tree, pem([leaf, *tree.county.chain[1:]]), tree.county)


def der(tag: int, content: bytes) -> bytes:
    """Return one DER element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def signed_again(certificate: x509.Certificate, old: bytes, new: bytes, key: object) -> bytes:
    """Return the DER of a certificate with bytes of its signed part replaced, signed anew.

    No library makes these; a tier that means harm does.
    """
    assert isinstance(key, EllipticCurvePrivateKey)
    signed = certificate.tbs_certificate_bytes
    assert signed.count(old) == 1
    header = 4 if signed[1] == 0x82 else 3
    signed = der(0x30, signed[header:].replace(old, new))
    signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    return der(0x30, signed + ecdsa_with_sha256 + der(0x03, b"\0" + signature))


def serial(certificate: x509.Certificate) -> bytes:
    """Return the DER of a certificate's serial number."""
    number = certificate.serial_number
    return der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def point(certificate: x509.Certificate) -> bytes:
    """Return the DER of a certificate's P-256 point."""
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return der(0x03, b"\0" + key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


FORGED: dict[str, Callable[[x509.Certificate], tuple[bytes, bytes]]] = {
    "78 the point at infinity": lambda leaf: (point(leaf), der(0x03, b"\0\0")),
    "78 a point of zeros": lambda leaf: (point(leaf), der(0x03, b"\0\x04" + bytes(64))),
    "81 a negative serial number": lambda leaf: (serial(leaf), der(0x02, b"\x80" + bytes(15))),
    "81 a serial number of 4,096 bits": lambda leaf: (
        serial(leaf),
        der(0x02, b"\x01" + bytes(511)),
    ),
}


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("row", FORGED)
def test_forged_by_the_tier_itself(tree: Tree, row: str) -> None:
    """What no honest library issues is refused, though the tier's own key signed it."""
    leaf = tree.county.leaf
    data = signed_again(leaf, *FORGED[row](leaf), tree.city.authority.key)
    body = base64.encodebytes(data)
    block = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
    with pytest.raises(errors.PeerCheckError):
        check(tree, block + pem(tree.county.chain[1:]), tree.county)


def test_signed_again_as_it_was(tree: Tree) -> None:
    """Nothing but the named flaw makes a forged row fail."""
    leaf = tree.county.leaf
    data = signed_again(leaf, serial(leaf), serial(leaf), tree.city.authority.key)
    chain = [x509.load_der_x509_certificate(data), *tree.county.chain[1:]]
    assert check(tree, pem(chain), tree.county)


def test_nul_in_a_common_name(tree: Tree) -> None:
    """Nodes are named by URI and DNS name alone; a common name beside them is refused (row 81)."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "330106\0.yidao.internal", _validate=False)]
    )
    leaf = reissue(tree.county.leaf, tree.city.authority.key, subject=subject)
    with pytest.raises(errors.PeerChainUntrusted):
        check(tree, pem([leaf, *tree.county.chain[1:]]), tree.county)


def test_point_off_the_curve(tree: Tree) -> None:
    """A P-256 key that is no point of the curve is refused (row 78)."""
    der = bytearray(tree.county.leaf.public_bytes(Encoding.DER))
    point = tree.county.key.public_key().public_numbers().x.to_bytes(32, "big")
    der[der.index(point)] ^= 0xFF
    leaf = x509.load_der_x509_certificate(bytes(der))
    with pytest.raises(errors.PeerCheckError):
        check(tree, pem([leaf, *tree.county.chain[1:]]), tree.county)


def test_every_flipped_byte(tree: Tree) -> None:
    """No byte of a leaf can be changed without the chain being refused."""
    leaf = tree.county.leaf
    # Some parsers skip the last bit of a signature if it is 0 and told to be unused.
    while leaf.signature[-1] & 1:
        leaf = reissue(leaf, tree.city.authority.key)
    der = leaf.public_bytes(Encoding.DER)
    above = pem(tree.county.chain[1:])
    for index in range(len(der)):
        changed = bytearray(der)
        changed[index] ^= 0x01
        body = base64.encodebytes(bytes(changed))
        block = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
        with pytest.raises(errors.PeerCheckError):
            check(tree, block + above, tree.county)


CHAINS: dict[str, tuple[Callable[[Tree], bytes], str]] = {
    "80 a missing tier": (
        lambda tree: pem([tree.county.leaf, tree.county.chain[2]]),
        "PEER_CHAIN_UNTRUSTED",
    ),
    "80 tiers in the wrong order": (
        lambda tree: pem([tree.county.leaf, *reversed(tree.county.chain[1:])]),
        "PEER_CHAIN_MALFORMED",
    ),
    "80 the leaf last": (
        lambda tree: pem([*tree.county.chain[1:], tree.county.leaf]),
        "PEER_CHAIN_UNTRUSTED",
    ),
    "80 a tier twice": (
        lambda tree: pem([*tree.county.chain, tree.county.chain[1]]),
        "PEER_CHAIN_MALFORMED",
    ),
    "80 the root's certificate too": (
        lambda tree: pem([*tree.county.chain, tree.root.authority.certificate]),
        "PEER_CHAIN_MALFORMED",
    ),
    "80 a stranger's tier behind it": (
        lambda tree: pem([*tree.county.chain, child_office(tree.root, "35").authority.certificate]),
        "PEER_CHAIN_MALFORMED",
    ),
    "80 fifty certificates": (lambda tree: pem([tree.county.leaf] * 50), "PEER_CHAIN_TOO_LONG"),
    "80 one too many": (
        lambda tree: pem([tree.county.leaf] * (MAX_CERTIFICATES + 1)),
        "PEER_CHAIN_TOO_LONG",
    ),
    "84 nothing": (lambda tree: b"", "PEER_CHAIN_MALFORMED"),
    "84 junk before": (lambda tree: b"x" + pem(tree.county.chain), "PEER_CHAIN_MALFORMED"),
    "84 junk behind": (lambda tree: pem(tree.county.chain) + b"junk", "PEER_CHAIN_MALFORMED"),
    "84 junk between": (
        lambda tree: pem(tree.county.chain).replace(b"-----\n-----", b"-----\nx\n-----"),
        "PEER_CHAIN_MALFORMED",
    ),
    "84 a private key inside": (
        lambda tree: (
            pem(tree.county.chain)
            + tree.county.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        ),
        "PEER_CHAIN_MALFORMED",
    ),
    "84 a certificate that is cut off": (
        lambda tree: pem(tree.county.chain)[:-200],
        "PEER_CHAIN_MALFORMED",
    ),
    "84 no certificate inside the armour": (
        lambda tree: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "PEER_CHAIN_MALFORMED",
    ),
}


@pytest.mark.parametrize("row", CHAINS)
def test_bad_chain(tree: Tree, row: str) -> None:
    """A chain that is not exactly leaf, parent's tier and so on up is refused."""
    make, code = CHAINS[row]
    with pytest.raises(errors.PeerCheckError) as raised:
        check(tree, make(tree), tree.county)
    assert code == raised.value.code


@pytest.mark.parametrize("label", ["-a", "a-", "-"])
def test_label_that_no_certificate_can_bear(tree: Tree, label: str) -> None:
    """A label that verifiers refuse at its ends is refused before anything is issued."""
    with pytest.raises(errors.ChildPathUnfit):
        child_office(tree.root, label)


def test_name_longer_than_dns_allows() -> None:
    """A path whose DNS name would be too long is refused."""
    with pytest.raises(errors.ChildPathUnfit):
        certificates.dns_name(Path(tuple(f"{n:032d}" for n in range(8))))


CONTEXTS: dict[str, dict[str, list[bytes]]] = {
    "no TLS": {},
    "TLS 1.2": {"ssl_tls_version": [b"TLSv1.2"], "x509_pem_cert": [b"x"]},
    "no certificate": {"ssl_tls_version": [b"TLSv1.3"]},
    "an empty certificate": {"ssl_tls_version": [b"TLSv1.3"], "x509_pem_cert": [b""]},
    "tiers without a leaf": {"ssl_tls_version": [b"TLSv1.3"], "x509_pem_cert_chain": [b"x"]},
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_weak_transport(name: str) -> None:
    """Nothing older than TLS 1.3 with a client certificate reaches the check."""
    with pytest.raises(errors.PeerTransportWeak):
        peer_chain(CONTEXTS[name])


AUTHORITIES: dict[str, Callable[[Tree], bytes]] = {
    "a stranger's tier behind it": lambda tree: (
        tree.city.authority.chain_pem + child_office(tree.root, "35").authority.chain_pem
    ),
    "no tier above": lambda tree: certificates.to_pem(tree.city.authority.certificate),
    "a tier of the same name by another key": lambda tree: (
        child_office(child_office(root_office(), "33"), "3301").authority.chain_pem
    ),
    "the sister's authority": lambda tree: child_office(tree.province, "3302").authority.chain_pem,
    "its own key, signed by a stranger": lambda tree: pem(
        [
            reissue(tree.city.authority.certificate, certificates.generate_key()),
            *tree.city.chain[1:],
        ]
    ),
    "nothing": lambda tree: b"",
}


@pytest.mark.parametrize("name", AUTHORITIES)
def test_bad_authority_in_an_answer(tree: Tree, name: str) -> None:
    """A child takes no authority but its own, hanging where its own certificate hangs."""
    root_pem = certificates.to_pem(tree.root.authority.certificate)
    own = certificates.key_sha256(tree.city.authority.key.public_key())
    answer = link_pb2.JoinResponse(
        tls_chain=pem(tree.city.chain), ca_chain=tree.city.authority.chain_pem
    )
    _check_authority(answer, root_pem, own)
    answer.ca_chain = AUTHORITIES[name](tree)
    with pytest.raises(errors.LinkError):
        _check_authority(answer, root_pem, own)


def csr(key: object, tamper: bool = False) -> bytes:
    """Return a certificate request as DER, with a broken signature if asked."""
    wants = x509.SubjectAlternativeName([x509.DNSName("yidao.internal")])
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(wants, critical=True)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    der = bytearray(builder.sign(key, algorithm).public_bytes(Encoding.DER))  # type: ignore[arg-type]
    if tamper:
        der[-1] ^= 1
    return bytes(der)


def test_bad_certificate_requests() -> None:
    """A request that is not signed by its own P-256 key is refused (rows 78 and 82)."""
    p256 = certificates.generate_key()
    bad = {
        "empty": b"",
        "junk": b"\x30\x03\x02\x01\x00",
        "cut off": csr(p256)[:-10],
        "signature changed": csr(p256, tamper=True),
        "P-384": csr(ec.generate_private_key(ec.SECP384R1())),
        "Ed25519": csr(ed25519.Ed25519PrivateKey.generate()),
        "RSA": csr(rsa.generate_private_key(65537, 2048)),
    }
    refused = []
    for name, der in bad.items():
        with pytest.raises(errors.JoinCsrInvalid):
            csr_key(der)
        refused.append(name)
    assert list(bad) == refused


def test_request_for_an_authority(tree: Tree) -> None:
    """What a certificate request asks for besides its key never reaches a certificate (row 82)."""
    key = csr_key(csr(tree.county.key))
    leaf = certificates.issue_leaf(
        tree.city.authority, key, NETWORK, node_of(tree.county.path), tree.county.path, NOW
    )
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    assert tree.county.path == check(tree, pem([leaf, *tree.county.chain[1:]]), tree.county).path
