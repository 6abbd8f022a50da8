"""A program's token over HTTP: what it may, and the code and status of each end of it."""

from pathlib import Path as FilePath
from urllib.parse import quote

from fastapi.testclient import TestClient

from tests.unit.node.api.offices import HOUR_MS, Office
from yidao.node.client import Token
from yidao.node.gateway.app import application


def test_a_program_calls_over_http_with_its_token(tmp_path: FilePath) -> None:
    """Held to its source by the caller's address; ended, it is nobody."""
    office = Office(tmp_path)
    try:
        office.add("li", "filler")
        given = office.machine.give_token(
            Token(user="li", permissions=["reporting.read"]), actor="", days=1
        )
        elsewhere = office.machine.give_token(
            Token(user="li", permissions=["reporting.read"], source="192.0.2.0/24"),
            actor="",
            days=1,
        )
        with TestClient(application(office.socket)) as http:

            def get(path: str, secret: str) -> tuple[int, str]:
                headers = {
                    "Authorization": f"Bearer {secret}",
                    "X-Yidao-Purpose": quote("样例核查"),
                }
                answer = http.get(f"/api/v1/{path}", headers=headers)
                return answer.status_code, str(answer.json().get("code", ""))

            assert get("returns", given.secret) == (200, "")
            assert get("packs", given.secret) == (403, "PERMISSION_DENIED")
            assert get("returns", elsewhere.secret) == (403, "TOKEN_SOURCE")
            assert get("returns", "yidao_" + "A" * 43) == (401, "SESSION_ENDED")
            office.later(24 * HOUR_MS)
            assert get("returns", given.secret) == (401, "TOKEN_EXPIRED")
            office.machine.revoke_token(given.token.id, actor="")
            assert get("returns", given.secret) == (401, "TOKEN_REVOKED")
    finally:
        office.close()
