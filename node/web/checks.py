"""The checks of a request's head, in their order. Pure: a scope in, nothing or an error out.

The order is the list of `check_head`. Each check names the bad input that it
is against; the corpus of them is in `tests/corpus/test_http.py`.
"""

import hmac
import re
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from yidao.node.web import errors
from yidao.node.web.rules import SAFE_METHODS, Rules

#: Written by a browser itself (Fetch metadata), never by a page.
_SAME_ORIGIN: Final = b"same-origin"
_OVERRIDES: Final = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
# Encoded dots, slashes, backslashes, and a percent sign that would hide them from one decoding.
_ENCODED: Final = re.compile(rb"%(?:2e|2f|5c|25)", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\\]")
_DOTS: Final = frozenset({".", ".."})
_CSRF_BYTES: Final = 32


def check_head(scope: Any, rules: Rules) -> None:
    """Check everything that can be known before the body.

    Raises:
        HeadersTooLarge, HeadersRefused, HostRefused, MethodRefused, PathRefused,
        OriginRefused, CsrfRefused: The first that is wrong.
    """
    check_headers(scope["headers"], rules)
    check_host(scope["headers"], rules)
    check_method(scope, rules)
    check_path(scope["raw_path"])
    check_origin(scope, rules)
    check_csrf(scope, rules)


def check_headers(headers: Iterable[tuple[bytes, bytes]], rules: Rules) -> None:
    """Refuse floods of headers, and lengths that two readers would read in two ways.

    RFC 9112 §6.3 lets a server refuse a message with both `Transfer-Encoding` and
    `Content-Length`; a proxy before us may have taken the other one.
    """
    listed = list(headers)
    size_bytes = sum(len(name) + len(value) for name, value in listed)
    names = [name for name, _ in listed]
    lengths = names.count(b"content-length")
    encodings = names.count(b"transfer-encoding")
    if len(listed) > rules.max_headers or size_bytes > rules.max_header_bytes:
        raise errors.HeadersTooLarge(count=rules.max_headers, size_bytes=rules.max_header_bytes)
    if lengths > 1 or encodings > 1 or (lengths and encodings):
        raise errors.HeadersRefused


def check_host(headers: Iterable[tuple[bytes, bytes]], rules: Rules) -> None:
    """Refuse another's name: a page at a name that was made to lead here (DNS rebinding)."""
    found = [value for name, value in headers if name == b"host"]
    if len(found) != 1 or _host_name(found[0]) not in rules.hosts:
        raise errors.HostRefused


def _host_name(value: bytes) -> str:
    text = value.decode("latin-1").lower()
    matched = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", text)
    return matched[1] if matched else ""


def check_method(scope: Any, rules: Rules) -> None:
    """Refuse methods that nobody serves, and headers that would make one into another."""
    if scope["type"] == "http" and scope["method"] not in rules.methods:
        raise errors.MethodRefused
    if any(name in _OVERRIDES for name, _ in scope["headers"]):
        raise errors.MethodRefused


def check_path(raw_path: bytes) -> None:
    """Refuse a path that is not plain, so that no later reader finds another file in it."""
    if not raw_path.startswith(b"/") or _ENCODED.search(raw_path):
        raise errors.PathRefused
    try:
        path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise errors.PathRefused from None
    segments = path.split("/")
    if _CONTROL.search(path) or _DOTS & set(segments) or "" in segments[1:-1]:
        raise errors.PathRefused


def check_origin(scope: Any, rules: Rules) -> None:
    """Refuse what a page of another site sends: sockets, and requests that change something.

    A browser lets any page open a socket to us and sends our cookies with it;
    only `Origin` tells. A request without it passes if the browser itself says
    `Sec-Fetch-Site: same-origin`.
    """
    if scope["type"] != "websocket" and (not rules.csrf_cookie or scope["method"] in SAFE_METHODS):
        return
    headers = scope["headers"]
    origins = [value for name, value in headers if name == b"origin"]
    if not origins:
        sites = [value for name, value in headers if name == b"sec-fetch-site"]
        if scope["type"] == "http" and sites == [_SAME_ORIGIN]:
            return
        raise errors.OriginRefused
    if len(origins) > 1 or not _is_ours(origins[0].decode("latin-1"), headers, rules):
        raise errors.OriginRefused


def _is_ours(origin: str, headers: Iterable[tuple[bytes, bytes]], rules: Rules) -> bool:
    if origin in rules.origins:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    # `check_host` has seen to it that there is one, and that it is ours.
    host = next(value for name, value in headers if name == b"host").decode("latin-1")
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def check_csrf(scope: Any, rules: Rules) -> None:
    """Refuse an unsafe request whose sender could not read our cookie."""
    if not rules.csrf_cookie or scope["type"] != "http" or scope["method"] in SAFE_METHODS:
        return
    if rules.csrf_exempt and scope["path"].startswith(rules.csrf_exempt):
        return
    given = [value for name, value in scope["headers"] if name == b"x-csrf-token"]
    kept = cookie_of(scope, rules.csrf_cookie).encode("latin-1", "replace")
    if len(given) != 1 or len(kept) < _CSRF_BYTES or not hmac.compare_digest(given[0], kept):
        raise errors.CsrfRefused


def cookie_of(scope: Any, name: str) -> str:
    """Give the value of a cookie, empty where there is none."""
    jar: SimpleCookie = SimpleCookie()
    for header, value in scope["headers"]:
        if header == b"cookie":
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:
                return ""
    return jar[name].value if name in jar else ""
