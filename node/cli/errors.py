"""`yidao errors`: what an error code means and what to do."""

from typing import Annotated

import typer

from yidao.api.errors import YidaoError
from yidao.node.cli.output import Json, answer, told_errors
from yidao.node.cli.speech import LANGUAGE, say


class ErrorCodeUnknown(YidaoError):
    """No error and no fault has such a code (params: code)."""

    code = "ERROR_CODE_UNKNOWN"


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(
        help=say(
            "解释错误码: 含义和处理办法; 不给错误码则列出全部",
            "Explain an error code, or list all of them",
        )
    )
    def errors(
        code: Annotated[
            str, typer.Argument(help=say("错误码, 如 KEY_REUSED", "A code, as KEY_REUSED"))
        ] = "",
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from dataclasses import asdict

            from yidao.node.client import explain, explanations

            if not code:
                found = explanations(LANGUAGE)
                width = max(len(each.code) for each in found)
                answer(
                    as_json,
                    {"errors": [asdict(each) for each in found]},
                    "\n".join(f"{each.code:{width}}  {each.text}" for each in found),
                )
                return
            one = explain(code.strip().upper(), LANGUAGE)
            if one is None:
                raise ErrorCodeUnknown(code=code[:64])
            answer(
                as_json,
                asdict(one),
                f"{one.code}\n{one.text}\n{say('建议', 'hint')}: {one.hint}",
            )
