"""Files up and down: workbooks to fill in, to import, and with their faults marked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.requests import ClientDisconnect

from yidao.api.errors import YidaoError
from yidao.node.client import Client
from yidao.node.console.console import Console
from yidao.node.console.days import first_day
from yidao.node.console.routes import session_of, words_of
from yidao.node.console.session import Session
from yidao.node.console.visit import sign_in_address
from yidao.node.console.words import Words
from yidao.node.intake.annotate import annotate
from yidao.node.intake.template import MAX_UNITS, form_workbook
from yidao.node.messages import render

_MAX_NAME_CHARACTERS: Final = 120
_WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def add_file_routes(web: FastAPI, console: Console) -> None:
    """Add the routes to the application."""

    @web.post("/files/upload")
    async def upload(request: Request) -> Response:
        return await _upload(console, request)

    @web.get("/files/template")
    async def template(request: Request) -> Response:
        return await _given(console, request, _template)

    @web.get("/files/sign-off")
    async def sign_off(request: Request) -> Response:
        return await _given(console, request, _sign_off)

    @web.get("/files/annotated")
    async def annotated(request: Request) -> Response:
        return await _given(console, request, _annotated)


async def _upload(console: Console, request: Request) -> Response:
    """Take the body as a file of the session; the guard has set its limits."""
    session = session_of(console, request)
    # Workbooks of returns, and signatures over them.
    if session is None or not (session.may("reporting.submit") or session.may("signoff.submit")):
        return JSONResponse({"code": "SESSION_ENDED"}, 403)
    name = request.query_params.get("name", "")[:_MAX_NAME_CHARACTERS]
    held = console.folder.place(owner=session.key, name=name)
    console.sessions.touch(session)
    try:
        with held.path.open("xb") as out:
            async for chunk in request.stream():
                await asyncio.to_thread(out.write, chunk)
    except ClientDisconnect:
        console.folder.drop(held.id)
        raise
    return JSONResponse({"id": held.id})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A file as it goes to the browser."""

    name: str
    body: bytes
    media_type: str = _WORKBOOK


Make = Callable[[Console, Session, Request, Words], _Given | None]


async def _given(console: Console, request: Request, make: Make) -> Response:
    """Give a file that is made for this person, or say why there is none."""
    session, words = session_of(console, request), words_of(request)
    if session is None:
        return RedirectResponse(sign_in_address("idle"), status_code=303)
    console.sessions.touch(session)
    try:
        made = await asyncio.to_thread(make, console, session, request, words)
    except YidaoError as error:
        shown = render(error, words.language)
        return PlainTextResponse(f"{shown.text} {shown.hint} ({shown.code})", 400)
    if made is None:
        return PlainTextResponse(words("frame.missing_page"), 404)
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(made.name, safe='')}"}
    return Response(made.body, media_type=made.media_type, headers=headers)


def _template(console: Console, session: Session, request: Request, words: Words) -> _Given | None:
    """Make the workbook of a form, with the person's units and the period filled in."""
    asked = request.query_params
    client = console.client.with_token(session.token)
    period = asked.get("period", "")
    pack = console.packs(client).in_force(asked.get("pack", ""), first_day(period, console.today()))
    form = pack.form(asked.get("form", ""))
    units = _units(console, client, session.unit or asked.get("unit", ""))
    body = form_workbook(pack, form.id, period=period, units=units, language=words.language)
    return _Given(name=f"{words.of(form.title)} {period}.xlsx", body=body)


def _units(console: Console, client: Client, unit: str) -> list[tuple[str, str]]:
    """Give code and name of one unit, or of all of this node; who fills for one has no list."""
    if unit:
        named = client.due(unit=unit, limit=1).due
        return [(unit, named[0].unit_name if named else "")]
    mine = (each for each in client.units() if each.origin_path == console.path)
    return [(each.unit, each.name) for each in islice(mine, MAX_UNITS)]


def _sign_off(console: Console, session: Session, request: Request, words: Words) -> _Given | None:
    """Make the file that approvers sign, of what waits of a form and period."""
    asked = request.query_params
    form, period = asked.get("form", ""), asked.get("period", "")
    made = console.client.with_token(session.token).prepare_signoff(
        actor=session.actor, form=form, period=period, pack=asked.get("pack", "")
    )
    name = f"{words('sign_off.title')} {form} {period}".strip()
    return _Given(name=f"{name}.json", body=made.file, media_type="application/json")


def _annotated(console: Console, session: Session, request: Request, words: Words) -> _Given | None:
    """Make the copy of an imported file that shows each fault in its cell."""
    file_id = request.query_params.get("id", "")
    held = console.folder.find(file_id, owner=session.key)
    report = console.folder.report(file_id) if held is not None else None
    if held is None or report is None:
        return None
    body = annotate(held.path.read_bytes(), report.refused, words.language)
    name = PurePath(held.name).stem
    return _Given(name=words("imports.annotated_name", name=name), body=body)
