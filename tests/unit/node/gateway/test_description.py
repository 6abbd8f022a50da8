"""The description is complete, and names no other host."""

import re
from pathlib import Path
from typing import Any

import pytest

from yidao.node.gateway.app import application, openapi
from yidao.node.gateway.page import page_of

DESCRIBED = openapi(application(Path("/nonexistent/local.sock")))
CALLS = {
    f"{method.upper()} {path}": call
    for path, methods in DESCRIBED["paths"].items()
    for method, call in methods.items()
}
#: Calls that need no session.
OPEN = {"POST /api/v1/sign-in", "GET /api/v1/health"}


def test_version() -> None:
    """It is OpenAPI 3.1."""
    assert DESCRIBED["openapi"].startswith("3.1.")
    assert len(CALLS) > 30


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    """Each call says what it does, what it answers, how it fails, and if it wants a session."""
    call = CALLS[name]
    assert call["description"]
    good = [answer for status, answer in call["responses"].items() if status.startswith("2")]
    assert len(good) == 1
    if "204" not in call["responses"]:
        (schema,) = [each["schema"] for each in list(good[0]["content"].values())[:1]]
        assert schema
    for status in ("400", "422", "500", "503"):
        assert "Problem" in str(call["responses"][status])
    assert ("security" in call) == (name not in OPEN)
    assert ("401" in call["responses"]) == (name != "GET /api/v1/health")


def test_shapes() -> None:
    """Each shape says what it is, and every reference leads to one."""
    schemas: dict[str, Any] = DESCRIBED["components"]["schemas"]
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []
    references = set(re.findall(r"#/components/schemas/(\w+)", str(DESCRIBED)))
    assert references <= set(schemas)
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)


def test_no_other_host() -> None:
    """Neither description nor page names a host, so that both work on a closed network."""
    page = page_of(DESCRIBED)
    assert re.findall(r"https?://[^\s\"'<]+", str(DESCRIBED) + page) == []
    assert "<script" not in page
    assert all(name.split(" ")[1] in page for name in CALLS)


def test_figures_are_texts() -> None:
    """No shape has a JSON number with a fraction: a reader would round it."""
    assert "'type': 'number'" not in str(DESCRIBED)
