"""`yidao gateway`: the REST gateway in the foreground, or its description."""

from pathlib import Path
from typing import Annotated

import typer

from yidao.node.cli.output import Data, told_errors
from yidao.node.cli.speech import say


def _print_openapi(wanted: bool) -> None:
    if wanted:
        import orjson

        from yidao.node.gateway.app import application, openapi

        # Describing needs no node: the socket is opened by the first call.
        described = openapi(application(Path()))
        typer.echo(orjson.dumps(described, option=orjson.OPT_INDENT_2).decode())
        raise typer.Exit


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "运行 REST 网关 (前台; 节点的一个客户端)",
            "Run the REST gateway in the foreground, a client of the node",
        )
    )
    def gateway(
        data: Data,
        listen: Annotated[
            str | None,
            typer.Option(help=say("监听地址, 默认 127.0.0.1:7390", "host:port, 127.0.0.1:7390")),
        ] = None,
        host: Annotated[
            list[str] | None,
            typer.Option(help=say("允许的其他主机名, 可多次", "Another host name, repeatable")),
        ] = None,
        certificate: Annotated[
            Path | None, typer.Option(help=say("TLS 证书链 (PEM)", "TLS certificate chain, PEM"))
        ] = None,
        key: Annotated[
            Path | None, typer.Option(help=say("TLS 私钥 (PEM)", "TLS private key, PEM"))
        ] = None,
        openapi: Annotated[
            bool,
            typer.Option(
                "--openapi",
                callback=_print_openapi,
                is_eager=True,
                help=say("打印接口说明 (OpenAPI 3.1) 后结束", "Print the OpenAPI 3.1 description"),
            ),
        ] = False,
    ) -> None:
        del openapi
        with told_errors(as_json=False):
            from yidao.node.gateway.run import run

            overrides = {
                "gateway_listen": listen,
                "gateway_hosts": ",".join(host) if host else None,
                "gateway_certificate": certificate,
                "gateway_key": key,
            }
            run(data, overrides)
