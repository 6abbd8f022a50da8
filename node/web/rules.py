"""What a server allows: the one set of rules that its guard checks by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: For a server without pages: nothing may be loaded, run or framed.
NO_PAGES: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_EVERY_INTERFACE: Final = frozenset({"0.0.0.0", "[::]"})  # noqa: S104 (to know, not to bind)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is allowed; everything else is refused.

    Attributes:
        hosts: Names in `Host`, lower case and without port. A page of another
            site cannot forge it, even where its own name leads to this address.
        csp: The `Content-Security-Policy` of every answer.
        origins: Origins beside the server's own, `https://console.example`:
            only for a proxy that changes `Host`.
        methods: Methods that are served.
        max_body_bytes: The largest body, counted as it comes.
        body_limits: Other limits, by the beginning of the path; the longest counts.
        body_idle_seconds: How long a body may pause.
        body_seconds: How long a body may take as a whole.
        max_headers: How many headers, with at most `max_header_bytes` in all.
        csrf_cookie: Where people are known by a cookie: the name of the cookie
            whose value unsafe requests repeat in `X-CSRF-Token`. Empty where
            nobody is; then `Origin` of unsafe requests is no matter either.
        csrf_exempt: Beginnings of paths whose senders cannot set a header
            (uploads of a form); their `Origin` is checked all the same.
        limited_paths: Paths of sign-in, with how many POSTs of one source a minute.
        cacheable: Beginnings of paths that hold nothing private.
        tls: Whether people reach the server by TLS.
    """

    hosts: frozenset[str]
    csp: str = NO_PAGES
    origins: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset({"GET", "HEAD", "POST"})
    max_body_bytes: int = 1024 * 1024
    body_limits: Mapping[str, int] = field(default_factory=dict)
    body_idle_seconds: float = 15.0
    body_seconds: float = 120.0
    max_headers: int = 64
    max_header_bytes: int = 16 * 1024
    csrf_cookie: str = ""
    csrf_exempt: tuple[str, ...] = ()
    limited_paths: Mapping[str, int] = field(default_factory=dict)
    cacheable: tuple[str, ...] = ()
    tls: bool = False

    def body_limit(self, path: str) -> int:
        """Give the largest body, in bytes, that this path takes."""
        found = [prefix for prefix in self.body_limits if path.startswith(prefix)]
        return self.body_limits[max(found, key=len)] if found else self.max_body_bytes


def hosts_of(listen: str, *names: str) -> frozenset[str]:
    """Give the host names of a server that listens on `host:port`, and further names.

    A loopback address has its usual names; an address that stands for every
    interface (`0.0.0.0`) is no name of anything.
    """
    host = listen.rpartition(":")[0].lower()
    own = _LOOPBACK if host in _LOOPBACK else frozenset({host} - _EVERY_INTERFACE)
    return own | {name.lower() for name in names}
