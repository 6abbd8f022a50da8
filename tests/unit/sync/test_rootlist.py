"""The root list: one version after the other, each by the holders of both; a key counts once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from yidao.node.link.certificates import issue_root, to_pem
from yidao.sync import errors
from yidao.sync.ids import NetworkId
from yidao.sync.rootlist import RootList, SignedRootList, open_first, open_next
from yidao.sync.rootstatement import RootStatement, open_root_statement
from yidao.sync.suite import Ed25519Signer
from yidao.sync.trusterrors import (
    RootListForeign,
    RootListMalformed,
    RootListUnsigned,
    RootListVersionWrong,
)

NETWORK = NetworkId(bytes(range(16)))
NOW_MS = 1_790_000_000_000
CA_KEYS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (7, 8, 9)]
PEMS = [
    to_pem(issue_root(key, NETWORK, datetime.fromtimestamp(NOW_MS / 1000, UTC))) for key in CA_KEYS
]
#: Ten holders; a list has some of them.
HOLDERS = [Ed25519Signer(sha256(b"sample holder %d" % number).digest()) for number in range(10)]


def root_list(
    version: int = 1, holders: Sequence[int] = range(5), threshold: int = 3, **more: Any
) -> RootList:
    """A list of those holders."""
    given_: dict[str, Any] = {
        "network": NETWORK,
        "version": version,
        "issued_ms": NOW_MS,
        "expires_ms": NOW_MS + 1,
        "threshold": threshold,
        "holders": tuple(sorted(HOLDERS[number].public_key for number in holders)),
        "certificates": (PEMS[0],),
    }
    return RootList(**(given_ | more))


def signed(content: RootList, by: Sequence[int]) -> bytes:
    """The file of a list with the signatures of those holders."""
    found = SignedRootList.of(content)
    for number in by:
        found = found.sign(HOLDERS[number])
    return found.encode()


def edited(data: bytes, **changes: Any) -> bytes:
    """A file whose signed part says something else."""
    members = orjson.loads(data)
    members["signed"] |= changes
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


def test_a_list_is_read_as_it_was_written_and_a_later_version_may_add_members() -> None:
    """Bytes that are signed are those that are read; unknown members are part of them."""
    data = signed(root_list(), (0, 1, 2))
    found = open_first(data, NETWORK)
    assert found.content == root_list()
    assert found.encode() == data
    longer = SignedRootList.decode(edited(data, zone="added by a later version"))
    assert longer.content == root_list()
    assert longer.signers(root_list().holders) == frozenset(), "nobody signed that member"


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_next_list_needs_the_threshold_of_both(data: st.DataObject) -> None:
    """Whoever holds the keys: it is accepted exactly if enough of both lists' holders signed."""
    subsets = st.sets(st.integers(0, 5), min_size=1)
    old, new = data.draw(subsets, "old"), data.draw(subsets, "new")
    old_k = data.draw(st.integers(1, len(old)), "threshold of the old")
    new_k = data.draw(st.integers(1, len(new)), "threshold of the new")
    by = data.draw(st.sets(st.integers(0, 5)), "signers")
    held = root_list(7, sorted(old), old_k)
    following = signed(root_list(8, sorted(new), new_k), sorted(by))
    if len(by & old) >= old_k and len(by & new) >= new_k:
        assert open_next(held, following).content.version == 8
    else:
        with pytest.raises(RootListUnsigned):
            open_next(held, following)


def test_a_key_counts_once_however_often_it_signs_or_is_listed() -> None:
    """The lesson of python-tuf: repeated signatures, a repeated key, a key in other hex (R37)."""
    data = signed(root_list(), (0, 1))
    members = orjson.loads(data)
    members["signatures"] *= 4
    with pytest.raises(RootListUnsigned) as caught:
        open_first(orjson.dumps(members, option=orjson.OPT_SORT_KEYS), NETWORK)
    assert caught.value.params["found"] == 2
    keys = sorted([HOLDERS[0].public_key] * 3)
    with pytest.raises(RootListMalformed):
        SignedRootList.of(replace(root_list(), holders=tuple(keys)))
    upper = [key.hex().upper() for key in root_list().holders]
    with pytest.raises(RootListMalformed):
        SignedRootList.decode(edited(data, holders=upper))


def test_a_key_of_somebody_who_is_no_holder_any_more_counts_for_nothing() -> None:
    """A list that took two holders out is not followed by their signatures (R37)."""
    held = root_list(2, (0, 1, 2))
    for by in ((3, 4, 0), (0, 1, 3, 4)):
        with pytest.raises(RootListUnsigned):
            open_next(held, signed(root_list(3), by))


def test_holders_may_be_lost_as_long_as_the_threshold_is_left() -> None:
    """Of five with threshold three, any one or two may be gone: the rest replaces them (R63)."""
    held = root_list()
    for lost in ((0,), (4,), (0, 1), (1, 3), (2, 4)):
        left = [number for number in range(5) if number not in lost]
        fresh = [5 + number for number in range(len(lost))]
        following = signed(root_list(2, [*left, *fresh]), [*left[:3], *fresh])
        assert open_next(held, following).content.holders == root_list(2, [*left, *fresh]).holders
    two_left = signed(root_list(2, (0, 1, 5, 6, 7)), (0, 1, 5, 6, 7))
    with pytest.raises(RootListUnsigned) as caught:
        open_next(held, two_left)
    assert caught.value.params == {"version": 1, "found": 2, "needed": 3}


def test_no_version_is_skipped_and_none_comes_again() -> None:
    """Back, again, one too far, and as far as numbers go (R35, R38)."""
    held = root_list(4)
    for version in (1, 3, 4, 6, 2**63 - 1):
        with pytest.raises(RootListVersionWrong) as caught:
            open_next(held, signed(root_list(version), range(5)))
        assert caught.value.params == {"found": version, "expected": 5}
    for version in (2**63, 0, -1):
        with pytest.raises(RootListMalformed):
            SignedRootList.of(root_list(version))
    # Nothing is used up: the next one is as good as ever.
    assert open_next(held, signed(root_list(5), range(3))).content.version == 5


def test_another_network_is_refused() -> None:
    """Both where the list is the first and where it follows."""
    foreign = signed(root_list(2, network=NetworkId(bytes(16))), range(5))
    with pytest.raises(RootListForeign):
        open_first(foreign, NETWORK)
    with pytest.raises(RootListForeign):
        open_next(root_list(), foreign)


@pytest.mark.parametrize(
    ("change", "error"),
    {
        "a threshold of nobody": ({"threshold": 0}, RootListMalformed),
        "a threshold of more than there are": ({"threshold": 6}, RootListMalformed),
        "a threshold that is true": ({"threshold": True}, RootListMalformed),
        "no holders": ({"holders": []}, RootListMalformed),
        "holders in disorder": (
            {"holders": [key.hex() for key in reversed(root_list().holders)]},
            RootListMalformed,
        ),
        "a key by which everybody signs": ({"holders": ["00" * 32] * 1}, errors.KeyWeak),
        "a key in a second spelling": (
            {"holders": ["ee" + "ff" * 30 + "7f"], "threshold": 1},
            errors.KeyWeak,
        ),
        "no certificate": ({"certificates": []}, RootListMalformed),
        "a certificate under another digest": (
            {"certificates": [{"pem": PEMS[0].decode(), "spki_sha256": "00" * 32}]},
            RootListMalformed,
        ),
        "no suite": ({"suites": []}, RootListMalformed),
        "a suite that is none": ({"suites": [0]}, RootListMalformed),
        "an end before the beginning": ({"expires_ms": NOW_MS}, RootListMalformed),
        "an end that no calendar has": ({"expires_ms": 2**62}, RootListMalformed),
        "a network that is none": ({"network": "00"}, errors.IdInvalid),
    }.values(),
)
def test_what_a_list_may_not_say(change: dict[str, Any], error: type[Exception]) -> None:
    """Each is refused when it is read, whoever signed it."""
    if change.get("holders") == ["00" * 32]:
        change = change | {"threshold": 1}
    with pytest.raises(error):
        SignedRootList.decode(edited(signed(root_list(), range(5)), **change))


def test_one_spelling_only() -> None:
    """A list with blanks, of too many bytes, or that is no JSON is none."""
    data = signed(root_list(), range(5))
    for wrong in (b" " + data, data[:-1], b"[]", b"{}", data + b" " * 20_000):
        with pytest.raises(RootListMalformed):
            SignedRootList.decode(wrong)


def test_files_of_one_list_are_put_together_and_of_two_are_not() -> None:
    """Each holder signs a copy; together they are the list."""
    content = root_list()
    copies = [SignedRootList.of(content).sign(HOLDERS[number]) for number in range(3)]
    whole = SignedRootList.of(content).combine(copies)
    assert open_first(whole.encode(), NETWORK).content == content
    with pytest.raises(RootListMalformed):
        whole.combine([SignedRootList.of(root_list(threshold=2)).sign(HOLDERS[3])])


def test_the_statement_is_by_any_certificate_that_counts() -> None:
    """A statement by either root is opened with a list of both, and with no list that lacks it."""
    statement = RootStatement(
        network=NETWORK,
        node_id=NETWORK,  # type: ignore[arg-type]
        journal_key=HOLDERS[0].public_key,
        cosign_key=HOLDERS[1].public_key,
    )
    both = root_list(certificates=(PEMS[1], PEMS[0])).pem
    for key in CA_KEYS[:2]:
        assert open_root_statement(statement.sign(key), both) == statement
    with pytest.raises(errors.RootStatementInvalid):
        open_root_statement(statement.sign(CA_KEYS[2]), both)
