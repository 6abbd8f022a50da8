"""The description as a plain page: no script, nothing from another host."""

import html
from typing import Any, Final

STYLE: Final = """\
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font-family: sans-serif; }
code { background: #eee; padding: 0 .2em; }
section { border-top: 1px solid #ccc; }
pre { white-space: pre-wrap; }
"""


def page_of(openapi: dict[str, Any]) -> str:
    """Give the page of an OpenAPI description."""
    calls = [
        (tag, method.upper(), path, call)
        for path, methods in openapi["paths"].items()
        for method, call in methods.items()
        for tag in call["tags"]
    ]
    title = html.escape(openapi["info"]["title"])
    about = html.escape(openapi["info"]["description"])
    sections = "".join(_section(*call) for call in sorted(calls, key=lambda call: call[:3]))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<link rel="stylesheet" href="/page.css"><h1>{title}</h1><pre>{about}</pre>'
        f'<p>OpenAPI 3.1: <a href="/openapi.json"><code>/openapi.json</code></a></p>{sections}'
        "</html>"
    )


def _section(tag: str, method: str, path: str, call: dict[str, Any]) -> str:
    names = ", ".join(
        f"<code>{html.escape(each['name'])}</code>" for each in call.get("parameters", ())
    )
    answers = ", ".join(f"<code>{html.escape(each)}</code>" for each in call["responses"])
    return (
        f"<section><h2><code>{method} {html.escape(path)}</code></h2>"
        f"<p>{html.escape(tag)}: {html.escape(call.get('description', ''))}</p>"
        f"<p>Parameters: {names or '-'}</p><p>Answers: {answers}</p></section>"
    )
