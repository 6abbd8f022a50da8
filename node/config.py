"""Settings of one daemon: a TOML file, then the environment, then the caller.

Later sources win. Every setting has a default, a unit in its name and a reason
in its description; a key that does not exist is an error wherever it stands, so
that a mistyped name never leaves a default in force in silence. What a node *is*
(its id, path and keys) is no setting: it stands in `keys/identity.json`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from yidao.node import errors
from yidao.node.settingtexts import CHINESE

ENV_PREFIX: Final = "YIDAO_"
#: Of the command line, which calls a node: no settings of one.
CALLER_VARIABLES: Final = frozenset({"YIDAO_TOKEN_FILE", "YIDAO_PURPOSE"})
# A settings file of a person is a page long; this keeps a wrong path (a disk
# image, a log) from being read into memory.
MAX_FILE_BYTES: Final = 64 * 1024

_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
_ADDRESS: Final = re.compile(rf"({_HOST}):([0-9]{{1,5}})", re.ASCII)
_PROXY: Final = re.compile(
    rf"http://(?:[^\s/@:]+(?::[^\s/@]*)?@)?{_HOST}:([0-9]{{1,5}})/?", re.ASCII
)
_MAX_NAME_CHARS: Final = 60


def _checked_address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if found is None or not 1 <= int(found[2]) <= 65_535:
        raise ValueError("host:port with a port from 1 to 65535")
    return value


def _checked_addresses(value: str) -> str:
    return ",".join(_checked_address(each.strip()) for each in value.split(","))


def _checked_name(value: str) -> str:
    if len(value) > _MAX_NAME_CHARS or not value.isprintable():
        raise ValueError("at most 60 printable characters")
    return value.strip()


def _checked_proxy(value: str) -> str:
    found = _PROXY.fullmatch(value)
    if found is None or not 1 <= int(found[1]) <= 65_535:
        raise ValueError("http://host:port or http://user:password@host:port")
    return value


Address = Annotated[str, AfterValidator(_checked_address)]
Addresses = Annotated[str, AfterValidator(_checked_addresses)]
Proxy = Annotated[str, AfterValidator(_checked_proxy)]
OfficeName = Annotated[str, AfterValidator(_checked_name)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class Settings(BaseModel):
    """All settings, checked; frozen once loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Field(
        Path("yidao-data"), description="Folder of store, keys and local socket."
    )
    office_name: OfficeName = Field(
        "", description="What people call this office; shown by status and console."
    )
    test_network: bool = Field(
        default=False,
        description="Whether the network is for trying things out; `init --test` and the join "
        "bundle set it, and every screen then shows a banner.",
    )
    listen: Address = Field(
        "127.0.0.1:7350", description="Where children's links arrive (mutual TLS)."
    )
    join_listen: Address = Field(
        "127.0.0.1:7351",
        description="Where new children join. A port of its own, because gRPC for Python "
        "cannot make client certificates optional on one port.",
    )
    listen_seen: Address | None = Field(
        None, description="`listen` as children see it, behind NAT or where it is 0.0.0.0."
    )
    join_listen_seen: Address | None = Field(
        None, description="`join_listen` as children see it; goes into join bundles."
    )
    parent_address: Addresses | None = Field(
        None,
        description="The parent's `listen` as seen from here; none at the root. Where several "
        "daemons are the parent, their addresses with commas: one after the other is dialled.",
    )
    parent_join_address: Address | None = Field(
        None,
        description="The parent's `join_listen` as seen from here; asked for a new certificate "
        "once this node's has ended.",
    )
    proxy: Proxy | None = Field(
        None,
        description="HTTP proxy on the way to the parent, `http://[user:password@]host:port`, "
        "used with CONNECT. Proxies of the environment are never used.",
    )
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of a PostgreSQL store; none means SQLite in the folder."
    )
    language: Literal["zh", "en"] = Field("zh", description="Language of texts shown to people.")
    keepalive_seconds: Seconds = Field(
        30, description="Time between pings on a silent link; NAT tables often forget at 60 s."
    )
    keepalive_timeout_seconds: Seconds = Field(
        10, description="How long a ping may stay unanswered before the link counts as cut."
    )
    cosign_interval_seconds: Seconds = Field(
        60, description="Shortest time between two cosignatures above the parent for one journal."
    )
    cosign_pq: bool = Field(
        default=True,
        description="Whether a node that has a key of ML-DSA-44 (`init --pq`, `join --pq`) "
        "cosigns with it too.",
    )
    feed_interval_hours: int = Field(
        6,
        ge=1,
        le=42,
        description="How often this node states to those below that nothing was kept back; a "
        "statement holds for four times as long.",
    )
    backoff_min_seconds: Seconds = Field(2, description="First delay before dialling again.")
    backoff_max_seconds: Seconds = Field(180, description="Longest delay before dialling again.")
    child_kib_per_second: int = Field(
        131_072,
        ge=1,
        le=16_777_216,
        description="What one child may send on average, KiB a second; beyond it, it is slowed.",
    )
    child_refusals_per_minute: int = Field(
        600,
        ge=1,
        le=1_000_000,
        description="How much of what one child sends may be refused a minute before its session "
        "ends and it is kept away for a minute.",
    )
    fence_wait_seconds: Seconds = Field(
        600,
        description="How long a node that nothing vouches for (after a boot, a copy, a restore) "
        "waits for its parent before it signs in a new epoch.",
    )
    join_attempts_per_minute: int = Field(
        5, ge=1, le=10_000, description="Tries to join that one address may make a minute."
    )
    join_token_hours: int = Field(
        24, ge=1, le=720, description="How long a join bundle may be used."
    )
    join_policy: Literal["token", "approve"] = Field(
        "token",
        description="Who comes in below: whoever has a valid token, or whom an operator "
        "approves besides (`yidao child approve`).",
    )
    join_request_hours: int = Field(
        72, ge=1, le=720, description="How long a request to join waits for a decision."
    )
    renew_ended_days: int = Field(
        0,
        ge=0,
        le=7,
        description="Renew a child's certificate for so many days after it has ended, on the "
        "word of its journal key; 0 means never.",
    )
    session_idle_minutes: int = Field(
        20,
        ge=1,
        le=30,
        description="How long a person's session may idle; GB/T 22239 allows 30 minutes at most.",
    )
    local_account: Literal["full", "operator"] | None = Field(
        None,
        description="What a call on the local socket without a token may do: `operator` keeps "
        "the node running and makes the first administrators, `full` does everything in "
        "anybody's name. None means `full` on a test network, else `operator`.",
    )
    four_eyes: bool | None = Field(
        None,
        description="Whether what destroys or empowers takes two administrators. None means "
        "no on a test network, else yes.",
    )
    administrator_keys: bool | None = Field(
        None,
        description="Whether administrators must register a key and sign in with it. None "
        "means no on a test network, else yes.",
    )
    gateway_listen: Address = Field(
        "127.0.0.1:7390", description="Where the REST gateway listens (`yidao gateway`)."
    )
    gateway_hosts: str = Field(
        "",
        max_length=1_000,
        description="Further host names under which people reach the gateway, with commas.",
    )
    gateway_certificate: Path | None = Field(
        None, description="PEM file of the gateway's TLS certificate chain; none for plain HTTP."
    )
    gateway_key: Path | None = Field(None, description="PEM file of the certificate's key.")
    log_format: Literal["json", "console"] = Field("console", description="Form of log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )
    log_file: Path | None = Field(
        None, description="File for log lines; none means standard error. SIGHUP opens it anew."
    )
    log_file_mib: int = Field(
        16, ge=1, le=10_240, description="Size at which the log file is put aside, MiB."
    )
    log_file_count: int = Field(
        8, ge=0, le=1_000, description="How many log files that were put aside are kept."
    )
    metrics_listen: Address | None = Field(
        None,
        description="Where Prometheus metrics are served, without any check of who asks: keep "
        "to 127.0.0.1. None means off.",
    )

    @property
    def parent_addresses(self) -> tuple[str, ...]:
        """Where the parent may be dialled, the first choice first; empty at the root."""
        return () if self.parent_address is None else tuple(self.parent_address.split(","))

    @model_validator(mode="after")
    def _order_of_backoff(self) -> "Settings":
        if self.backoff_min_seconds > self.backoff_max_seconds:
            raise ValueError("backoff_min_seconds is above backoff_max_seconds")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDoc:
    """What the reference page says of one setting."""

    name: str
    environment: str
    default: str
    description: str
    description_zh: str


def describe() -> tuple[SettingDoc, ...]:
    """Return every setting with default and both descriptions, for help and docs."""
    return tuple(
        SettingDoc(
            name=name,
            environment=ENV_PREFIX + name.upper(),
            default=_shown(field.default),
            description=field.description or "",
            description_zh=CHINESE.get(name, ""),
        )
        for name, field in Settings.model_fields.items()
    )


def _shown(default: object) -> str:
    """Write a default as the settings file would."""
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def load_settings(
    file: Path | None, environ: Mapping[str, str], **overrides: str | float | Path | None
) -> Settings:
    """Return the settings that file, environment and caller give together.

    Args:
        file: A TOML file that must exist, or None.
        environ: The environment; only names that begin with `YIDAO_` are looked at.
        overrides: Settings by name, stronger than both; None leaves one as it is.

    Raises:
        ConfigNotFound, ConfigUnreadable, ConfigEncoding, ConfigSyntax: The file.
        ConfigKeyUnknown: A key that is no setting.
        ConfigValueInvalid: A value of the wrong type or range.
    """
    sources: dict[str, tuple[str, object]] = {}
    if file is not None:
        for key, value in _read_toml(file).items():
            _check_known(key, str(file))
            _check_type(key, value, str(file))
            sources[key] = (str(file), value)
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and name not in CALLER_VARIABLES:
            key = name.removeprefix(ENV_PREFIX).lower()
            _check_known(key, name)
            sources[key] = (name, text)
    for key, given in overrides.items():
        if given is not None:
            _check_known(key, "argument")
            sources[key] = ("argument", given)
    try:
        return Settings.model_validate({key: value for key, (_, value) in sources.items()})
    except ValidationError as error:
        raise _first_fault(error, sources) from None


def write_settings(path: Path, values: Mapping[str, str | int | float]) -> None:
    """Write a new TOML settings file with these values, after checking them.

    Raises:
        ConfigKeyUnknown, ConfigValueInvalid: As `load_settings`.
        ConfigUnreadable: The file exists already or cannot be written.
    """
    load_settings(None, {}, **values)
    lines = [f"{key} = {_toml_value(value)}\n" for key, value in values.items()]
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
    except OSError as error:
        raise errors.ConfigUnreadable(path=str(path), reason=error.strerror or "") from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        if not file.is_file():
            raise errors.ConfigNotFound(path=str(file))
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise errors.ConfigUnreadable(path=str(file), reason=error.strerror or "") from None
    if len(data) > MAX_FILE_BYTES:
        raise errors.ConfigUnreadable(path=str(file), reason=f"> {MAX_FILE_BYTES} bytes")
    if data.startswith(b"\xef\xbb\xbf"):
        raise errors.ConfigEncoding(path=str(file))
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise errors.ConfigEncoding(path=str(file)) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise errors.ConfigSyntax(path=str(file), reason=str(error)) from None


def _check_known(key: str, source: str) -> None:
    if key not in Settings.model_fields:
        raise errors.ConfigKeyUnknown(key=key, source=source)


def _check_type(key: str, value: object, source: str) -> None:
    """Refuse `"30"` and `true` for a number: TOML has types, so a quoted number is a slip."""
    annotation = Settings.model_fields[key].annotation
    is_number = annotation in (int, float) or {int, float} & set(get_args(annotation))
    if is_number and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise errors.ConfigValueInvalid(key=key, source=source, reason="a number")


def _first_fault(
    error: ValidationError, sources: Mapping[str, tuple[str, object]]
) -> errors.ConfigValueInvalid:
    # The input itself stays out of the error: a database URL holds a password.
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    key = str(fault["loc"][0]) if fault["loc"] else "backoff_min_seconds"
    source = sources[key][0] if key in sources else "default"
    reason = fault["msg"].removeprefix("Value error, ")
    return errors.ConfigValueInvalid(key=key, source=source, reason=reason)


def _toml_value(value: str | float) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)
