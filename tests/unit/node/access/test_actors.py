"""Who may act here."""

import pytest

from yidao.node.access.actors import authorise, parse_actor, system_actor
from yidao.node.access.errors import ActorElsewhere, ActorInvalid
from yidao.sync.ids import Path

HERE = Path.parse("/33/06")


def test_an_actor_of_this_node_may_act() -> None:
    """The text comes back as it was."""
    assert str(authorise("样例审核员@/33/06", HERE)) == "样例审核员@/33/06"
    assert str(authorise("root.user@/", Path())) == "root.user@/"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "li",
        "@/33/06",
        "li@",
        "li@33/06",
        "li@/33/06/",
        "li@@/33/06",
        "l i@/33/06",
        "li\u202e@/33/06",
        "li\x00@/33/06",
        "l/i@/33/06",
        "x" * 65 + "@/33/06",
        "system@/33/06",
    ],
)
def test_a_text_that_is_no_actor_is_refused(text: str) -> None:
    """Also the name under which the node itself writes."""
    with pytest.raises(ActorInvalid):
        authorise(text, HERE)


@pytest.mark.parametrize("text", ["li@/", "li@/33", "li@/33/06/a", "li@/33/07"])
def test_an_actor_of_another_node_is_refused(text: str) -> None:
    """Whether it stands above, below or beside."""
    with pytest.raises(ActorElsewhere) as caught:
        authorise(text, HERE)
    assert caught.value.params["path"] == "/33/06"


def test_the_node_itself_has_a_name() -> None:
    """The name reads back."""
    assert parse_actor(str(system_actor(HERE))) == system_actor(HERE)
