"""`yidao init`: found a network with this node as its root, or join one by a bundle."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from yidao.node.cli.output import Data, Json, answer, told_errors
from yidao.node.cli.speech import say

_LISTEN = "127.0.0.1:7350"

Listen = Annotated[
    str | None,
    typer.Option(
        show_default=_LISTEN, help=say("下级链路的监听地址", "Where links of children arrive")
    ),
]
JoinListen = Annotated[
    str | None,
    typer.Option(
        show_default=say("listen 的下一个端口", "the port after listen's"),
        help=say("加入服务的监听地址", "Where new children join"),
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", help=say("本单位名称", "What people call this office"))
]
Proxy = Annotated[
    str | None,
    typer.Option(help=say("通往上级的 HTTP 代理", "HTTP proxy on the way to the parent")),
]

SuiteName = Annotated[
    Literal["std", "gm"],
    typer.Option(
        "--suite",
        help=say(
            "本节点密钥的密码套件: std 为 Ed25519/SHA-256, gm 为 SM2/SM3 (需安装 yidao[gm])",
            "Suite of this node's keys: std is Ed25519/SHA-256, gm is SM2/SM3 (needs yidao[gm])",
        ),
    ),
]
Pq = Annotated[
    bool,
    typer.Option(
        "--pq",
        help=say(
            "另生成 ML-DSA-44 联署密钥 (抗量子)",
            "Make a second cosigning key, of ML-DSA-44 (against quantum computers)",
        ),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "建立新网络 (本节点为根), 或用加入包加入. 在终端上会问四个问题, 每个问题都有对应选项",
            "Found a network with this node as its root, or join one by a bundle. At a terminal it "
            "asks four questions; each is an option too",
        )
    )
    def init(
        data: Data,
        bundle: Annotated[
            Path | None, typer.Option(help=say("用此加入包加入", "Join by this bundle"))
        ] = None,
        name: Name = None,
        listen: Listen = None,
        join_listen: JoinListen = None,
        test: Annotated[
            bool | None,
            typer.Option("--test/--real", help=say("试用网络或正式网络", "Test network or real")),
        ] = None,
        proxy: Proxy = None,
        suite: SuiteName = "std",
        pq: Pq = False,
        as_json: Json = False,
    ) -> None:
        from yidao.node.cli.questions import answers, someone_can_type

        told = {
            "bundle": None if bundle is None else str(bundle),
            "office_name": name,
            "listen": listen,
            "test_network": None if test is None else ("test" if test else "real"),
            "proxy": proxy,
        }
        with told_errors(as_json):
            if not as_json and someone_can_type():
                told.update(answers(told))
            begin(data, told, join_listen, Keys(suite, pq), as_json=as_json)


class Keys(NamedTuple):
    """What was said of the keys that the node makes."""

    suite: str
    pq: bool


def begin(
    data: Path, told: dict[str, str | None], join_listen: str | None, keys: Keys, *, as_json: bool
) -> None:
    """Set the node up as it was told, and say what comes next."""
    from yidao.node import setup
    from yidao.node.keys import KeyKinds
    from yidao.sync.suite import SPOKEN

    kinds = KeyKinds(suite=SPOKEN[keys.suite], pq=keys.pq)
    listen = told.get("listen") or _LISTEN
    settings: dict[str, str | int | float] = {
        key: value for key in ("office_name", "proxy") if (value := told.get(key))
    }
    settings |= {"listen": listen, "join_listen": join_listen or _next_port(listen)}
    if told.get("parent_address"):
        settings["parent_address"] = str(told["parent_address"])
    if bundle := told.get("bundle"):
        if told.get("test_network"):
            raise typer.BadParameter(
                say("加入包自己说明是否为试用网络", "the bundle says whether it is a test network"),
                param_hint="--test/--real",
            )
        identity = setup.join_network(data, Path(bundle), settings, kinds)
        said = say(f"已加入: {identity.path}", f"Joined as {identity.path}")
    else:
        if told.get("test_network") == "test":
            settings["test_network"] = True
        identity = setup.found(data, settings, kinds)
        said = say(
            f"网络已建立: {identity.network.hex()}\n根证书: {data / 'keys' / 'root.pem'}",
            f"Network founded: {identity.network.hex()}\n"
            f"Root certificate: {data / 'keys' / 'root.pem'}",
        )
    answer(
        as_json,
        {
            "network": identity.network,
            "node_id": identity.node_id,
            "path": str(identity.path),
        },
        f"{said}\n" + say("下一步", "Next") + f": yidao run --data {data}",
    )


def _next_port(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    following = int(port) + 1 if port.isdecimal() else port
    # What is no address is named by the settings, as it was given.
    return f"{host}:{following}" if host else listen
