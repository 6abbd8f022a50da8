"""The gRPC settings of a link, and why they are what they are (argument names of gRPC 1.85)."""

import os
from typing import Final

from yidao.node.config import Settings

SERVICE: Final = "yidao.api.link.v1.LinkService"
CONTROL: Final = "Control"
DATA: Final = "Data"
QUERY: Final = "Query"
RENEW: Final = "Renew"
SESSION_KEY: Final = "yidao-session"

# What gRPC's core reads of the environment (http_proxy_mapper.cc).
_PROXY_NAMES: Final = (
    "grpc_proxy",
    "https_proxy",
    "http_proxy",
    "no_grpc_proxy",
    "no_proxy",
    "GRPC_ADDRESS_HTTP_PROXY",
    "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES",
)

_MIB: Final = 1024 * 1024

# A frame is at most 1 MiB; a little more leaves room for the message around it.
MAX_MESSAGE_BYTES: Final = _MIB + 64 * 1024


#: What both ports that listen for other nodes have in common. What gRPC does without it was
#: seen by `tests/corpus/test_http2.py`.
GUARD_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # Between the two gRPC refuses by chance.
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 8 * 1024),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # The limits above are announced as HTTP/2 settings, and hold for a peer only once it has
    # acknowledged them: until then gRPC takes 16 MiB of headers. By itself it waits a minute.
    ("grpc.http2.settings_timeout", 10_000),
    # Nothing of ours is compressed, and what arrives compressed is not unpacked.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # Two daemons on one port would each get half of the callers, in silence.
    ("grpc.so_reuseport", 0),
)


def _common(settings: Settings) -> list[tuple[str, int | str]]:
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", int(settings.keepalive_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout_seconds * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Retrying is the session's business: it knows what arrived.
        ("grpc.enable_retries", 0),
    ]


def server_options(settings: Settings) -> list[tuple[str, int | str]]:
    """Arguments of the port where children's links arrive."""
    return [
        *_common(settings),
        *GUARD_OPTIONS,
        # With gRPC's default of 5 minutes a child that pings is cut off for it. A child may
        # ping more often than this node does, but none has a reason to do it all the time.
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            int(min(settings.keepalive_seconds, 1) * 500),
        ),
        ("grpc.http2.max_ping_strikes", 10),
        ("grpc.max_concurrent_streams", 16),
        # A link that is up always has a call.
        ("grpc.max_connection_idle_ms", 15_000),
        # Thousands of children come back at once after an outage.
        ("grpc.server.max_pending_requests", 16_384),
        ("grpc.server.max_pending_requests_hard_limit", 32_768),
        ("grpc.max_connection_age_ms", 3_600_000),
        ("grpc.max_connection_age_grace_ms", 300_000),
    ]


def client_options(settings: Settings, target_name: str) -> list[tuple[str, int | str]]:
    """Arguments of the channel to the parent, whose certificate bears `target_name`."""
    return [
        *_common(settings),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.absolute_max_metadata_size", 16 * 1024),
        ("grpc.ssl_target_name_override", target_name),
        *proxy_options(settings.proxy),
        # The dialer waits by itself, longer than gRPC would.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # A new connection each time: a resumed one would share the old one's fate.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def proxy_options(proxy: str | None) -> list[tuple[str, int | str]]:
    """Arguments that send a channel through this HTTP proxy, or through none at all.

    gRPC would take a proxy from the environment, where it is meant for the web.
    """
    if proxy is None:
        return [("grpc.enable_http_proxy", 0)]
    return [("grpc.enable_http_proxy", 1), ("grpc.http_proxy", proxy)]


def forget_environment_proxies() -> None:
    """Take the web's proxy settings out of this process.

    A setting of ours that names a proxy would still give way to `no_proxy`, and no
    argument of a channel turns that off (gRPC 1.85).
    """
    for name in _PROXY_NAMES:
        os.environ.pop(name, None)
