"""Which suites a node uses and meets, tried out at every start.

What it signs with must pass, or it does not start. What others sign with must
pass too, unless its library is missing: then the node says so and refuses the
journals of those nodes alone, until a start finds the library.
"""

from collections.abc import Sequence

from yidao.node.keys import Identity
from yidao.node.logging import get_logger
from yidao.node.store.store import Store
from yidao.sync.selftest import self_test_for
from yidao.sync.suite import ML_DSA_44
from yidao.sync.suiteerrors import SuiteUnavailable

log = get_logger()


def check_own_suites(identity: Identity) -> None:
    """Return only if this machine gives right answers for all that the node signs with.

    Raises:
        SuiteUnavailable: A library is not installed.
        SuiteSelfTestFailed: A known answer came out wrong.
    """
    second = () if identity.cosign_pq is None else (ML_DSA_44,)
    self_test_for((identity.suite, *second))


def check_met_suites(store: Store) -> tuple[int, ...]:
    """Try the suites of all nodes that are known here, and return those that are missing.

    Raises:
        SuiteSelfTestFailed: A known answer came out wrong.
    """
    missing = tuple(number for number in store.suites() if not _passes(number))
    if missing:
        log.warning("node.suite.found_missing", suites=_text(missing))
        store.run(
            lambda tx: tx.raise_problem(SuiteUnavailable.code, suite=_text(missing), peer=None)
        )
    else:
        store.run(lambda tx: tx.clear_problems(SuiteUnavailable.code))
    return missing


def _passes(number: int) -> bool:
    try:
        self_test_for((number,))
    except SuiteUnavailable:
        return False
    return True


def _text(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)
