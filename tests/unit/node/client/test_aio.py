"""The awaitable client has every call of the client, and does the same."""

import asyncio
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

import yidao.node.client
from yidao.node.client import AsyncClient, Client, ClientError, Event, FileCursor

#: What opens and closes is written out.
OWN = {"open", "close"}


def test_every_call_can_be_awaited() -> None:
    """A call that is added to the client gets its line in `aio`."""
    calls = {
        name
        for name, value in inspect.getmembers(Client)
        if callable(value) and not name.startswith("_")
    }
    missing = calls - OWN - vars(AsyncClient).keys()
    assert missing == set()


def test_the_page_of_the_library_names_every_call() -> None:
    """`help(yidao.node.client)` is where an integrator looks for a call."""
    page = yidao.node.client.__doc__ or ""
    calls = {name for name in dir(Client) if not name.startswith("_")} - OWN
    assert {name for name in calls if f"`{name}" not in page and f".{name}(" not in page} == set()


def test_the_page_of_the_library_names_each_call_once() -> None:
    """Under one heading, in the list of what the calls are about."""
    page = yidao.node.client.__doc__ or ""
    listed = page[page.index("\n- ") : page.index("\nWithout a token")]
    calls = {name for name in dir(Client) if not name.startswith("_")}
    told = Counter(name for name in re.findall(r"`(\w+)`", listed) if name in calls)
    assert {name for name, times in told.items() if times > 1} == set()
    heads = Counter(re.findall(r"^- ([^:]+):", listed, re.MULTILINE))
    assert set(heads.values()) == {1}


def test_calls_are_awaited_and_units_iterated(served, rows) -> None:
    """Many at once; errors are those of the client."""

    async def work() -> tuple[list[str], list[str], str]:
        async with AsyncClient.open(served.socket) as client:
            done = await asyncio.gather(
                *(
                    client.submit("energy", [rows.institution(n)], actor=rows.actor)
                    for n in range(1, 21)
                )
            )
            names = [unit.name async for unit in client.units()]
            with pytest.raises(ClientError) as told:
                await client.submit("nobody", [rows.institution(1)], actor=rows.actor)
            return [each.results[0].outcome for each in done], names, told.value.code

    outcomes, names, code = asyncio.run(work())
    assert outcomes == ["submitted"] * 20
    assert len(names) == 20
    assert code == "PACK_UNKNOWN"


def test_events_are_awaited_and_the_cursor_moves(served, rows, tmp_path: Path) -> None:
    """As with the client: handled once the next is asked for, or once it is said."""
    file = tmp_path / "cursor"

    async def work() -> list[Event]:
        found = []
        async with (
            AsyncClient.open(served.socket) as client,
            client.follow(cursor=FileCursor(file), kinds=["registry."]) as following,
        ):
            await client.submit("energy", [rows.institution(1)], actor=rows.actor)
            async for event in following:
                found.append(event)
                await following.done()
                break
        return found

    (event,) = asyncio.run(work())
    assert event.kind == "registry.unit.registered"
    assert FileCursor(file).load() == event.mark


def test_a_cancelled_wait_loses_no_event(served, rows, tmp_path: Path) -> None:
    """What arrives while a task is being cancelled was handled by nobody."""
    file = tmp_path / "cursor"

    async def work() -> None:
        async with AsyncClient.open(served.socket) as client:
            following = client.follow(cursor=FileCursor(file), kinds=["registry."])
            waiting = asyncio.ensure_future(anext(following))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await client.submit("energy", [rows.institution(1)], actor=rows.actor)
            again = client.follow(cursor=FileCursor(file), kinds=["registry."])
            assert (await anext(again)).kind == "registry.unit.registered"
            again.close()

    asyncio.run(work())
