from collections.abc import Callable
from hashlib import sha256

import pytest

from yidao.api.record.v1 import record_pb2
from yidao.sync import errors
from yidao.sync.record import (
    MAX_CAUSES,
    MAX_HEADER_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MAX_VERSION,
    Grade,
    Header,
    HeaderReader,
    Part,
    PartDigest,
    Release,
    check_part,
    commitment,
    decode_header,
    kind_begins,
)

MakeHeader = Callable[..., Header]
MakePart = Callable[..., Part]


def test_a_header_comes_back_equal(make_header: MakeHeader, make_part: MakePart) -> None:
    """Encoding and decoding lose nothing, and the bytes are stable."""
    header = make_header(
        causes=(bytes(16), bytes([1] * 16)),
        parts=(
            make_part().digest(grade=Grade.L1, reach=0),
            make_part("pii").digest(grade=Grade.L4, release=Release.WHEN_ACCEPTED),
            make_part("ext:/33").digest(reach=1),
            make_part("file:0").digest(),
        ),
    )
    data = header.encode()
    assert decode_header(data) == header
    assert decode_header(data).encode() == data
    assert header.part("pii") is not None
    assert header.part("none") is None


def test_a_minimal_header_needs_nothing_optional(make_header: MakeHeader) -> None:
    """Unit, schema, period, causes and parts may be absent."""
    header = make_header(unit="", schema="", schema_sha256=b"", period="", parts=())
    assert decode_header(header.encode()) == header


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", b""),
        ("network", bytes(17)),
        ("node_id", bytes(15)),
        ("record_id", b""),
        ("kind", ""),
        ("kind", "reporting.return"),
        ("kind", "reporting.return.submitted.twice"),
        ("kind", "Reporting.return.submitted"),
        ("kind", "reporting..submitted"),
        ("actor", ""),
        ("actor", "li.na"),
        ("actor", "@/33"),
        ("actor", "li.na@/33/"),
        ("actor", "li@na@/33"),
        ("actor", "li\x00na@/33"),
        ("actor", "li\u202ena@/33"),
        ("actor", "li.na@/33\n"),
        ("unit", "91330100"),
        ("unit", "91330100ma27x00x0x"),
        ("object_id", ""),
        ("object_id", "a\tb"),
        ("object_id", "a" * 257),
        ("object_id", "\u2028"),
        ("object_version", 0),
        ("object_version", MAX_VERSION + 1),
        ("object_version", -1),
        ("causes", (b"short",)),
        ("causes", (bytes(16),) * (MAX_CAUSES + 1)),
        ("schema", "a\u2028b"),
        ("schema", "a" * 129),
        ("schema_sha256", bytes(31)),
        ("period", "2025 Q2"),
        ("created_ms", 0),
        ("created_ms", -1),
        ("created_ms", 2**63 - 1),
    ],
)
def test_a_header_with_a_bad_field_cannot_be_made(
    make_header: MakeHeader, field: str, value: object
) -> None:
    """The origin refuses to seal what every reader would refuse."""
    with pytest.raises(errors.HeaderFieldInvalid) as caught:
        make_header(**{field: value}).encode()
    assert caught.value.params["field"] == field


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "Core"},
        {"name": "file:"},
        {"name": "file:12345"},
        {"name": "ext:33"},
        {"commitment": bytes(31)},
        {"length": -1},
        {"length": MAX_PART_BYTES + 1},
        {"reach": -1},
        {"reach": 16},
    ],
)
def test_a_header_with_a_bad_part_cannot_be_made(
    make_header: MakeHeader, make_part: MakePart, changes: dict[str, object]
) -> None:
    """Each field of a part digest has a range."""
    digest = make_part().digest()._replace(**changes)  # type: ignore[arg-type]
    with pytest.raises(errors.HeaderFieldInvalid):
        make_header(parts=(digest,)).encode()


def test_parts_are_few_and_have_distinct_names(
    make_header: MakeHeader, make_part: MakePart
) -> None:
    """Sixteen parts are allowed, seventeen are not, and no name stands twice."""
    digests = tuple(make_part(f"file:{number}").digest() for number in range(MAX_PARTS + 1))
    assert len(decode_header(make_header(parts=digests[:-1]).encode()).parts) == MAX_PARTS
    with pytest.raises(errors.HeaderFieldInvalid):
        make_header(parts=digests).encode()
    with pytest.raises(errors.HeaderFieldInvalid):
        make_header(parts=(digests[0], digests[0])).encode()


def test_a_header_over_eight_kib_is_refused(make_header: MakeHeader) -> None:
    """The limit holds for making and for reading."""
    full = make_header(
        causes=(bytes(16),) * MAX_CAUSES,
        object_id="长" * 256,
        parts=tuple(
            PartDigest(
                name="ext:/" + "/".join(("a" * 32,) * 7 + (str(n),)), commitment=bytes(32), length=1
            )
            for n in range(MAX_PARTS)
        ),
    )
    with pytest.raises(errors.HeaderTooLarge):
        full.encode()
    with pytest.raises(errors.HeaderTooLarge):
        decode_header(bytes(MAX_HEADER_BYTES + 1))


def test_an_unknown_critical_feature_is_refused(make_header: MakeHeader) -> None:
    """A reader never guesses at a record that asks for more than it knows."""
    with pytest.raises(errors.HeaderCriticalUnknown) as caught:
        make_header(critical=(7,)).encode()
    assert caught.value.params["feature"] == 7


def test_text_that_has_no_utf8_cannot_be_sealed(make_header: MakeHeader) -> None:
    """A lone surrogate, as a careless decoder makes it, is a typed error."""
    with pytest.raises(errors.HeaderFieldInvalid):
        make_header(object_id="a\ud800").encode()


def test_a_commitment_is_the_hash_of_salt_and_body() -> None:
    """Anybody can recompute it with SHA-256 alone."""
    assert commitment(b"s" * 32, b"body") == sha256(b"s" * 32 + b"body").digest()


def test_a_part_passes_only_with_its_own_bytes(make_part: MakePart) -> None:
    """Other bytes, another salt, another name or another length are refused."""
    part = make_part()
    digest = part.digest()
    check_part(digest, part)
    for wrong in (
        part._replace(body=part.body + b" "),
        part._replace(salt=bytes(32)),
        # The same bytes under the hash, cut at another place.
        part._replace(salt=part.salt[:-1], body=part.salt[-1:] + part.body),
    ):
        with pytest.raises(errors.PartCommitmentMismatch):
            check_part(digest, wrong)
    with pytest.raises(errors.PartCommitmentMismatch):
        check_part(digest._replace(length=digest.length + 1), part)
    with pytest.raises(errors.PartUnknown):
        check_part(digest, part._replace(name="pii"))


def test_a_salt_cut_at_another_place_is_refused_though_its_hash_is_right(
    make_part: MakePart,
) -> None:
    """A digest with a length to match does not make a 31-byte salt good."""
    part = make_part()
    moved = Part(name="core", salt=part.salt[:-1], body=part.salt[-1:] + part.body)
    with pytest.raises(errors.PartCommitmentMismatch):
        check_part(moved.digest(), moved)


def test_a_part_over_the_limit_is_refused_before_it_is_hashed(make_part: MakePart) -> None:
    """256 KiB is the most that a part may be."""
    part = make_part(body=bytes(MAX_PART_BYTES + 1))
    with pytest.raises(errors.PartTooLarge):
        check_part(part.digest(), part)
    fitting = make_part(body=bytes(MAX_PART_BYTES))
    check_part(fitting.digest(), fitting)


def outcome(read: Callable[[bytes], object], data: bytes) -> object:
    """What comes of reading, or the fault that is found."""
    try:
        return read(data)
    except errors.PeerError as error:
        return error.code, error.params


def test_what_a_reader_gives_is_read_as_strictly(
    make_header: MakeHeader, make_part: MakePart
) -> None:
    """Whatever bit of a header is changed, both say the same of it, whatever was read before."""
    warm = HeaderReader()
    headers = (
        make_header(parts=(make_part().digest(),)),
        make_header(parts=(make_part().digest(), make_part("pii").digest(grade=Grade.L4))),
        make_header(causes=(bytes(16),), unit="", schema="", schema_sha256=b"", period=""),
        make_header(
            causes=(bytes(16), bytes(16)),
            parts=(make_part().digest(), make_part("pii").digest(grade=Grade.L4)),
        ),
    )
    refused = 0
    for data in (header.encode() for header in headers):
        for bit in range(len(data) * 8):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            found = outcome(decode_header, bytes(changed))
            assert outcome(HeaderReader().read, bytes(changed)) == found
            assert outcome(warm.read, bytes(changed)) == found
            assert warm.read(data) == decode_header(data)
            refused += not isinstance(found, Header)
        for length in range(len(data)):
            cut = data[:length]
            assert outcome(warm.read, cut) == outcome(decode_header, cut)
    assert refused > 100


def test_it_is_read_as_strictly_where_all_texts_are_known(
    make_header: MakeHeader, make_part: MakePart
) -> None:
    """What no changed bit makes of a good header: a part twice, too many, an id of another size."""
    warm = HeaderReader()
    parts = (make_part().digest(), make_part("pii").digest())
    data = make_header(parts=parts, causes=(bytes(16),)).encode()
    assert warm.read(data).parts == parts
    many = [make_part(f"ext:/{number}").digest() for number in range(MAX_PARTS)]
    full = make_header(parts=tuple(many)).encode()
    warm.read(full)
    for change in (
        lambda each: each.parts.append(each.parts[0]),
        lambda each: each.parts.extend(record_pb2.Header.FromString(full).parts),
        lambda each: each.causes.append(bytes(15)),
        lambda each: each.causes.extend([bytes(16)] * MAX_CAUSES),
        lambda each: setattr(each, "unit", "91330100"),
        lambda each: setattr(each.parts[1], "commitment", bytes(31)),
        lambda each: setattr(each.parts[1], "length", MAX_PART_BYTES + 1),
        lambda each: setattr(each.parts[1], "reach", 1_000),
    ):
        message = record_pb2.Header.FromString(data)
        change(message)
        changed = message.SerializeToString(deterministic=True)
        found = outcome(decode_header, changed)
        assert found[0] == "HEADER_FIELD_INVALID"  # type: ignore[index]
        assert outcome(warm.read, changed) == found


def test_a_kind_is_seen_without_reading_the_header(make_header: MakeHeader) -> None:
    """And nothing is taken for a kind that is none."""
    data = make_header(kind="app.meter.reading").encode()
    assert kind_begins(data, b"app.")
    assert not kind_begins(data, b"app.x")
    assert not kind_begins(make_header(kind="reporting.return.made").encode(), b"app.")
    assert not kind_begins(b"", b"app.")
    assert not kind_begins(b"app." * 40, b"app.")
