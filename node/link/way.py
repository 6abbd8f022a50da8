"""The way to the parent, step by step: name, port, proxy, TLS, certificates.

Each step that fails has a cause of its own, which gRPC would only call UNAVAILABLE.
"""

import base64
import errno
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from cryptography import x509

from yidao.api.errors import YidaoError
from yidao.node.clock import system_clock_ms, utc
from yidao.node.config import Settings
from yidao.node.errors import KeyFileMalformed, KeyFileMissing, NodeError
from yidao.node.keys import ROOT_CERTIFICATE, TLS_CHAIN, TLS_KEY, KeyFolder
from yidao.node.link import wayerrors as errors
from yidao.node.link.credentials import target_name
from yidao.sync.ids import Path as TreePath

DIAL_SECONDS: Final = 3.0
CERTIFICATE_ENDED: Final = "CERTIFICATE_ENDED"
CERTIFICATE_NOT_YET_VALID: Final = "CERTIFICATE_NOT_YET_VALID"
_LONGEST_HEAD_BYTES: Final = 16 * 1024
_STATUS_LINE: Final = re.compile(r"HTTP/\d(?:\.\d)? ([0-9]{3})\b")
_BAD_ADDRESS: Final = "ADDRESS"

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_HOSTNAME_MISMATCH: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where the parent is, and by what it is known.

    Attributes:
        address: `host:port` of the parent's link.
        server_name: The DNS name that its certificate must bear.
        root_pem: The network's root certificate.
        chain_file: This node's certificates, PEM.
        key_file: The key of the first of them.
        proxy: `http://[user:password@]host:port`, or None.
    """

    address: str
    server_name: str
    root_pem: bytes
    chain_file: Path
    key_file: Path
    proxy: str | None = None


def way_to_parent(settings: Settings, folder: KeyFolder, parent: TreePath, address: str) -> Way:
    """Return the way of a node to its parent, by what it shows there now."""
    return Way(
        address=address,
        server_name=target_name(parent),
        root_pem=folder.load_certificates().root_pem,
        chain_file=folder.path / TLS_CHAIN,
        key_file=folder.path / TLS_KEY,
        proxy=settings.proxy,
    )


def check_way(way: Way, *, seconds: float = DIAL_SECONDS) -> None:
    """Go the way to the parent as far as TLS, and raise what stops it.

    Raises:
        NodeError: One of `yidao.node.link.wayerrors`, by the step that failed.
        KeyFileMissing, KeyFileMalformed: What this node shows cannot be used as it is; also
            for the moment in which a renewal has written one file of two.
    """
    context = _context(way)
    with _connected(way, seconds) as line:
        try:
            line.settimeout(seconds)
            with context.wrap_socket(line, server_hostname=way.server_name) as secure:
                _hear_first_word(secure, way.address)
        except ssl.SSLCertVerificationError as error:
            raise _certificate_fault(error, way) from None
        except (ssl.SSLEOFError, ConnectionError):
            raise errors.ParentHangsUp(address=way.address) from None
        except ssl.SSLError:
            raise errors.ParentNotTls(address=way.address) from None
        except TimeoutError:
            raise errors.ParentSilent(address=way.address, seconds=int(seconds)) from None
        except OSError as error:
            raise errors.ParentUnreachable(address=way.address, reason=_name(error)) from None


def _context(way: Way) -> ssl.SSLContext:
    """Make ready what TLS shows and what it trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    try:
        context.load_verify_locations(cadata=way.root_pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise KeyFileMalformed(name=ROOT_CERTIFICATE) from None
    try:
        context.load_cert_chain(way.chain_file, way.key_file)
    except (ssl.SSLError, ValueError):
        # No PEM, or a key and a certificate that are no pair.
        raise KeyFileMalformed(name=TLS_CHAIN) from None
    except OSError:
        raise KeyFileMissing(name=TLS_CHAIN) from None
    return context


def _hear_first_word(secure: ssl.SSLSocket, address: str) -> None:
    """Wait for the parent's first bytes: in TLS 1.3 only they tell that it takes our certificate.

    A server of HTTP/2 speaks first (RFC 9113, 3.4).
    """
    try:
        word = secure.recv(1)
    except ssl.SSLEOFError:
        raise
    except ssl.SSLError as error:
        raise errors.ParentRefusesUs(address=address, reason=error.reason or "") from None
    if not word:
        raise errors.ParentHangsUp(address=address)


def _certificate_fault(error: ssl.SSLCertVerificationError, way: Way) -> NodeError:
    now = utc(system_clock_ms()).isoformat(timespec="minutes")
    if error.verify_code == _NOT_YET_VALID:
        return errors.ParentCertificateNotYetValid(address=way.address, now=now)
    if error.verify_code == _EXPIRED:
        return errors.ParentCertificateEnded(address=way.address, now=now)
    if error.verify_code == _HOSTNAME_MISMATCH:
        return errors.ParentNameMismatch(address=way.address, wanted=way.server_name)
    return errors.ParentNotTrusted(address=way.address)


def _connected(way: Way, seconds: float) -> socket.socket:
    """Connect to the parent, or through the proxy."""
    if way.proxy is None:
        host, _, port = way.address.rpartition(":")
        host = host.strip("[]")
        try:
            return socket.create_connection((host, int(port)), seconds)
        except socket.gaierror:
            raise errors.ParentNameUnknown(host=host) from None
        except TimeoutError:
            raise errors.ParentSilent(address=way.address, seconds=int(seconds)) from None
        except ConnectionRefusedError:
            raise errors.ParentPortClosed(address=way.address) from None
        except OSError as error:
            raise errors.ParentUnreachable(address=way.address, reason=_name(error)) from None
        except (ValueError, OverflowError):
            # No port, or no name that could be asked for.
            reason = _BAD_ADDRESS
            raise errors.ParentUnreachable(address=way.address, reason=reason) from None
    return _through_proxy(way.proxy, way.address, seconds)


def _through_proxy(proxy: str, address: str, seconds: float) -> socket.socket:
    shown = "?"
    try:
        parts = urlsplit(proxy)
        shown = f"{parts.hostname}:{parts.port}"
        line = socket.create_connection((parts.hostname or "", parts.port or 0), seconds)
    except OSError as error:
        raise errors.ProxyUnreachable(proxy=shown, reason=_name(error)) from None
    except (ValueError, OverflowError):
        raise errors.ProxyUnreachable(proxy=shown, reason=_BAD_ADDRESS) from None
    login = ""
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        login = f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}\r\n"
    try:
        line.sendall(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{login}\r\n".encode())
        head = _head(line)
    except OSError as error:
        line.close()
        raise errors.ProxyUnreachable(proxy=shown, reason=_name(error)) from None
    answered = _STATUS_LINE.match(head)
    status = "?" if answered is None else answered[1]
    if status != "200":
        line.close()
        raise errors.ProxyRefuses(proxy=shown, address=address, status=status)
    return line


def _head(line: socket.socket) -> str:
    """Read an answer's head and not a byte more: what follows belongs to TLS."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _LONGEST_HEAD_BYTES:
        byte = line.recv(1)
        if not byte:
            break
        head += byte
    return head.decode("latin-1")


def _name(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "DNS"
    if isinstance(error, TimeoutError):
        return "TIMEOUT"
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def why_lost(
    settings: Settings, folder: KeyFolder, parent: TreePath, clock_ms: Callable[[], int]
) -> str:
    """Return the code of what stops the way to the parent; "" if nothing is found.

    This node's own certificate comes first: the parent would only say that it refuses it.
    """
    try:
        leaf = _leaf(folder)
        now = utc(clock_ms())
        if now >= leaf.not_valid_after_utc:
            return CERTIFICATE_ENDED
        if now < leaf.not_valid_before_utc:
            return CERTIFICATE_NOT_YET_VALID
        for address in settings.parent_addresses:
            check_way(way_to_parent(settings, folder, parent, address))
    except YidaoError as error:
        return error.code
    return ""


def _leaf(folder: KeyFolder) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(folder.load_certificates().tls_chain_pem)
    except (ValueError, x509.InvalidVersion):
        raise KeyFileMalformed(name=TLS_CHAIN) from None
