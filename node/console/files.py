"""Files up and down: workbooks to import, and what comes back."""

import asyncio
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from yidao.node.console.console import Console
from yidao.node.console.routes import session_of

_MAX_NAME_CHARACTERS: Final = 120


def add_file_routes(web: FastAPI, console: Console) -> None:
    """Add the routes to the application."""

    @web.post("/files/upload")
    async def upload(request: Request) -> Response:
        return await _upload(console, request)


async def _upload(console: Console, request: Request) -> Response:
    """Take the body as a file of the session; the guard has set its limits."""
    session = session_of(console, request)
    if session is None or not session.may("reporting.submit"):
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
