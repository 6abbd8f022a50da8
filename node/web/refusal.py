"""How a refusal looks: problem details for programs, a page for people, the same code in both."""

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from yidao.api.errors import YidaoError
from yidao.node.messages import LANGUAGES, render
from yidao.node.web import errors

#: RFC 9457.
PROBLEM_TYPE: Final = "application/problem+json"
_HTML_TYPE: Final = "text/html; charset=utf-8"

#: The HTTP status of each error of this package; total, by the nearest class.
STATUS: Final[Mapping[type[YidaoError], int]] = {
    YidaoError: 500,
    errors.WebError: 400,
    errors.HostRefused: 421,
    errors.OriginRefused: 403,
    errors.CsrfRefused: 403,
    errors.MethodRefused: 405,
    errors.HeadersTooLarge: 431,
    errors.BodyTooLarge: 413,
    errors.BodyTooSlow: 408,
    errors.TooManyTries: 429,
    errors.AnswerUnsafe: 500,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer, whole: status, headers, body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def status_of(error: YidaoError) -> int:
    """Give the status of an error of this package."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def language_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Give the language that `Accept-Language` puts first among ours; Chinese without one."""
    wanted = b",".join(value for name, value in headers if name == b"accept-language")
    weighed = [_weighed(part) for part in wanted.decode("latin-1").split(",")[:16]]
    for _, tag in sorted(weighed, key=lambda pair: -pair[0]):
        language = tag.split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def _weighed(part: str) -> tuple[float, str]:
    tag, _, weight = part.strip().partition(";q=")
    try:
        return (float(weight) if weight else 1.0, tag)
    except ValueError:
        return (0.0, tag)


def problem_of(error: YidaoError, status: int, language: str) -> dict[str, Any]:
    """Give an error as problem details: RFC 9457's members, and `code`, `hint`, `params`."""
    shown = render(error, language)
    return {
        "type": "about:blank",
        "title": shown.text,
        "status": status,
        "code": shown.code,
        "hint": shown.hint,
        "params": {name: str(value) for name, value in error.params.items()},
        "retryable": error.retryable,
    }


def refusal_of(
    error: YidaoError, headers: Iterable[tuple[bytes, bytes]], methods: Iterable[str]
) -> Refusal:
    """Give the answer to a request that is refused; the connection is closed after it."""
    listed = list(headers)
    status, language = status_of(error), language_of(listed)
    wants_page = any(name == b"accept" and b"text/html" in value for name, value in listed)
    body = (
        _page(error, language) if wants_page else orjson.dumps(problem_of(error, status, language))
    )
    kept = [
        (b"content-type", (_HTML_TYPE if wants_page else PROBLEM_TYPE).encode()),
        (b"content-length", str(len(body)).encode()),
        (b"content-language", language.encode()),
        (b"connection", b"close"),
    ]
    if status == 405:
        kept.append((b"allow", ", ".join(sorted(methods)).encode()))
    if isinstance(error, errors.TooManyTries):
        kept.append((b"retry-after", str(error.params["seconds"]).encode()))
    return Refusal(status=status, headers=tuple(kept), body=body)


def _page(error: YidaoError, language: str) -> bytes:
    shown = render(error, language)
    text, hint, code = (html.escape(each) for each in (shown.text, shown.hint, shown.code))
    lang = "zh-CN" if language == "zh" else language
    return (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{text}</title>'
        f"<h1>{text}</h1><p>{hint}</p><p><code>{code}</code></p></html>"
    ).encode()
