"""Root lists as files: drafting, reading, and what is said of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.sync.ids import NetworkId
    from yidao.sync.rootlist import SignedRootList

#: A year, and a month to meet in.
DAYS = 396
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a new list shall say; what is left out is as in the list before.

    Attributes:
        certificates: PEM files.
        holders: Public keys in hex.
        threshold: None for three, or for the number before.
    """

    certificates: tuple[Path, ...]
    holders: tuple[str, ...]
    threshold: int | None
    days: int
    suites: tuple[int, ...]


def load(file: Path) -> "SignedRootList":
    """Read a list; who signed it is another question. Raises as `SignedRootList.decode`."""
    from yidao.node.cli.files import read_file
    from yidao.sync.rootlist import SignedRootList

    return SignedRootList.decode(read_file(file))


def opened(file: Path) -> "SignedRootList":
    """Read a list that enough of its own holders signed. Raises as `open_first`."""
    from yidao.sync.rootlist import open_first

    found = load(file)
    return open_first(found.encode(), found.content.network)


def after(previous: Path, file: Path) -> "SignedRootList":
    """Read a list that follows another one. Raises as `open_next`."""
    from yidao.sync.rootlist import open_next

    return open_next(opened(previous).content, load(file).encode())


def stored(out: Path, found: "SignedRootList") -> None:
    """Write a list into a new file."""
    from yidao.node.cli.files import write_file

    write_file(out, found.encode())


def drafted(given: Draft, previous: Path | None) -> "SignedRootList":
    """Make the next list, or the first.

    Raises:
        RootListMalformed, KeyWeak, RootStatementInvalid, …: Such a list cannot be.
    """
    from yidao.node.cli.files import read_file
    from yidao.node.clock import system_clock_ms
    from yidao.sync.rootlist import DEFAULT_THRESHOLD, FIRST_VERSION, RootList, SignedRootList
    from yidao.sync.suite import ED25519_SHA256

    held = None if previous is None else opened(previous).content
    pems = tuple(_pem(read_file(file)) for file in given.certificates)
    holders = tuple(sorted(_key(text) for text in given.holders))
    now_ms = system_clock_ms()
    return SignedRootList.of(
        RootList(
            network=_network(pems[0]) if held is None else held.network,
            version=FIRST_VERSION if held is None else held.version + 1,
            issued_ms=now_ms,
            expires_ms=now_ms + given.days * _DAY_MS,
            threshold=given.threshold or (held.threshold if held else DEFAULT_THRESHOLD),
            holders=holders or (held.holders if held else ()),
            certificates=pems,
            suites=tuple(sorted(given.suites)) or (held.suites if held else (ED25519_SHA256,)),
        )
    )


def facts(found: "SignedRootList") -> dict[str, object]:
    """A list as plain values."""
    content = found.content
    signers = found.signers(content.holders)
    return {
        **content.members(),
        "signed_by": sorted(key.hex() for key in signers),
        "complete": len(signers) >= content.threshold,
    }


def lines(found: "SignedRootList") -> list[str]:
    """A list for people."""
    from yidao.sync.rootlist import spki_sha256

    content = found.content
    signers = found.signers(content.holders)
    until = datetime.fromtimestamp(content.expires_ms / 1000, UTC)
    days = (until - datetime.now(UTC)).days
    told = [
        say("根清单 第", "root list") + f" {content.version}" + say(" 版", ""),
        say("网络", "network") + f" {content.network.hex()}",
        say(
            f"有效到 {until:%Y-%m-%d}, 还有 {days} 天", f"until {until:%Y-%m-%d}, {days} days left"
        ),
        say("算法套件", "suites") + f" {', '.join(str(each) for each in content.suites)}",
        say(
            f"签署 {len(signers)} 人, 门限 {content.threshold}",
            f"signed by {len(signers)}, needed {content.threshold}",
        ),
    ]
    told += [f"  [{'x' if key in signers else ' '}] {key.hex()}" for key in content.holders]
    told += [say("根证书 (公钥 SHA-256)", "root certificates (SHA-256 of the key)")]
    return told + [f"  {spki_sha256(pem).hex()}" for pem in content.certificates]


def _network(pem: bytes) -> "NetworkId":
    """Read the network out of a root certificate's name."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    from yidao.sync.ids import NetworkId, id_from_hex

    subject = x509.load_pem_x509_certificate(pem).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(names[0].value) if names else ""
    return NetworkId(id_from_hex(text.removeprefix("yidao root "), "network"))


def _key(text: str) -> bytes:
    from yidao.sync.trusterrors import RootListMalformed

    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RootListMalformed(field="holders") from None


def _pem(data: bytes) -> bytes:
    """Return a certificate in the one spelling that lists use."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from yidao.sync.trusterrors import RootListMalformed

    try:
        return x509.load_pem_x509_certificate(data).public_bytes(Encoding.PEM)
    except (ValueError, x509.InvalidVersion):
        raise RootListMalformed(field="certificates") from None
