"""Every error has one HTTP status, which the description names, and one form."""

import grpc
import pytest

from yidao.api.errors import YidaoError, every_error
from yidao.node.api.errors import status_of as family_of
from yidao.node.client import AnswerTooLate, ClientError, NodeUnreachable
from yidao.node.gateway import errors
from yidao.node.gateway.problems import COMMON, FAMILIES, Problem, described, status_of
from yidao.node.web import errors as web
from yidao.node.web.refusal import problem_of

DESCRIBED = set(described(missing="-", conflict="-"))


def test_every_family_has_a_status() -> None:
    """The table is total over gRPC's statuses, and says nothing of others."""
    assert set(FAMILIES) == {code.name for code in grpc.StatusCode}


def test_every_status_is_described() -> None:
    """Whatever error of the program a call may end with, its status stands in the description."""
    kinds = [kind for kind in every_error() if kind.__module__.startswith("yidao.")]
    kinds.remove(ClientError)
    assert len(kinds) > 100
    for kind in kinds:
        refused = ClientError(kind.code, retryable=False, family=family_of(kind.__new__(kind)).name)
        assert status_of(refused) in DESCRIBED, kind
    own = [*every_error(errors.GatewayError), *every_error(web.WebError)]
    own += [NodeUnreachable, AnswerTooLate]
    assert {status_of(kind(seconds=1, limit=1)) for kind in own} <= DESCRIBED


CASES = {
    "an argument": ("INVALID_ARGUMENT", 422),
    "no session": ("UNAUTHENTICATED", 401),
    "no right": ("PERMISSION_DENIED", 403),
    "nothing there": ("NOT_FOUND", 404),
    "in the way": ("FAILED_PRECONDITION", 409),
    "later": ("UNAVAILABLE", 503),
    "a defect": ("INTERNAL", 500),
}


@pytest.mark.parametrize(("family", "status"), CASES.values(), ids=CASES)
def test_families(family: str, status: int) -> None:
    """A family has the status that HTTP has for it."""
    assert status_of(ClientError("ANY", retryable=False, family=family)) == status


def test_a_problem_is_whole() -> None:
    """An unknown code of a newer node still is a problem with all members."""
    told = problem_of(ClientError("FROM_THE_FUTURE", retryable=True, family="NOT_FOUND"), 404, "en")
    problem = Problem(**told)
    assert (problem.code, problem.status, problem.retryable) == ("FROM_THE_FUTURE", 404, True)
    assert problem.title
    assert problem.hint


def test_a_defect_says_nothing_of_itself() -> None:
    """What nobody foresaw leaves as INTERNAL, 500."""
    assert status_of(YidaoError()) == 500
    assert 500 in COMMON
