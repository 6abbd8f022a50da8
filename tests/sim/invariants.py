"""What must be true of a tree of nodes, whatever happened to it.

The one checker of all tests: it sees plain views of what each node holds durably
and returns what is wrong as sentences. It does not know how the views were made,
by the simulator or from real stores.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from yidao.sync.ids import JournalId, Lane, NodeId, Path
from yidao.sync.merkle import EMPTY_FRONTIER, leaf_hashes
from yidao.sync.record import Release, commitment
from yidao.sync.record import decode_header as _decode_header
from yidao.sync.routing import lanes_for

# The same headers are seen on many nodes and at many moments.
decode_header = lru_cache(maxsize=16_384)(_decode_header)

PartKey = tuple[JournalId, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What one node holds durably.

    Attributes:
        effects: (journal, seq) of every record, in the order of the store.
        roots: The root that the node believes in for each journal.
        parts: Salt and body of each part that is present.
        releases: For each (journal, seq) that an acceptance held here cites, the
            parts of which may go on.
    """

    node_id: NodeId
    path: Path
    headers: Mapping[JournalId, tuple[bytes, ...]]
    roots: Mapping[JournalId, bytes]
    effects: tuple[tuple[JournalId, int], ...]
    parts: Mapping[PartKey, tuple[bytes, bytes]]
    releases: frozenset[tuple[JournalId, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A node was told that a record is durable at `holder`."""

    holder: NodeId
    journal: JournalId
    seq: int
    told_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeView:
    """All nodes, what was promised, and what went wrong on the way.

    Attributes:
        recovering: Whose disk was set back or copied, and who may not have back yet
            what its neighbours hold for it.
        forked: Journals of which two histories were signed, as somebody has found, with
            the first record that the two do not share: what is held from there on is
            evidence, and agrees with nothing.
    """

    nodes: Mapping[NodeId, NodeView]
    promises: Collection[Promise] = ()
    refusals: Collection[str] = field(default=())
    recovering: Collection[NodeId] = field(default=frozenset())
    forked: Mapping[JournalId, int] = field(default_factory=dict)

    def certain(self, journal: JournalId, size: int) -> int:
        """How many of the first records of a journal, up to a size, all histories share."""
        return min(size, self.forked.get(journal, size))

    def at(self, path: Path) -> NodeView:
        """Return the node at `path`."""
        return next(node for node in self.nodes.values() if node.path == path)


def always(tree: TreeView) -> list[str]:
    """Return what is wrong that must be right at every moment."""
    return [
        *promised_is_kept(tree),
        *held_is_what_the_origin_wrote(tree),
        *each_record_has_one_effect(tree),
        *roots_follow_from_headers(tree),
        *parts_match_and_come_not_early(tree),
        *tree.refusals,
    ]


def healed(tree: TreeView) -> list[str]:
    """Return what is wrong once all faults are over and everything has settled."""
    return [*always(tree), *everything_arrived(tree), *parts_arrived(tree)]


def promised_is_kept(tree: TreeView) -> Iterator[str]:
    """Acked is kept: what somebody was told is durable, is there."""
    for promise in tree.promises:
        if promise.holder in tree.recovering:
            continue
        is_own = promise.holder == promise.journal.node_id
        if is_own and tree.certain(promise.journal, promise.seq + 1) <= promise.seq:
            continue
        size = len(tree.nodes[promise.holder].headers.get(promise.journal, ()))
        if size <= promise.seq:
            yield (
                f"LOST: {promise.told_by} was told that {name(promise.journal)} "
                f"{promise.seq} is durable at {tree.nodes[promise.holder].path}, size is {size}"
            )


def held_is_what_the_origin_wrote(tree: TreeView) -> Iterator[str]:
    """No gap, no reorder, nothing invented: each held journal is a prefix of its origin's."""
    for node in tree.nodes.values():
        for journal, headers in node.headers.items():
            if journal.node_id in tree.recovering:
                continue
            written = tree.nodes[journal.node_id].headers.get(journal, ())
            certain = tree.certain(journal, len(headers))
            if headers[:certain] != written[:certain]:
                yield f"DIFFERS: {name(journal)} at {node.path} is no prefix of its origin's"


def each_record_has_one_effect(tree: TreeView) -> Iterator[str]:
    """Each record is folded once, in the order of its journal."""
    for node in tree.nodes.values():
        next_seq: dict[JournalId, int] = {}
        for journal, seq in node.effects:
            if seq != next_seq.get(journal, 0):
                yield (
                    f"EFFECT: {name(journal)} {seq} at {node.path} "
                    f"where {next_seq.get(journal, 0)} is due"
                )
            next_seq[journal] = seq + 1
        for journal, headers in node.headers.items():
            if next_seq.get(journal, 0) != len(headers):
                yield f"EFFECT: {name(journal)} at {node.path} is held, not folded"


def roots_follow_from_headers(tree: TreeView) -> Iterator[str]:
    """The root that a node believes in is the one of the headers that it holds."""
    for node in tree.nodes.values():
        for journal, headers in node.headers.items():
            if node.roots.get(journal) != _root_of(headers):
                yield f"ROOT: {name(journal)} at {node.path} has another root than its headers"


def parts_match_and_come_not_early(tree: TreeView) -> Iterator[str]:
    """A part is what its header commits to, within its reach, and not before its release."""
    for node in tree.nodes.values():
        for (journal, seq, part), (salt, body) in node.parts.items():
            where = f"{name(journal)} {seq} {part} at {node.path}"
            headers = node.headers.get(journal, ())
            digest = decode_header(headers[seq]).part(part) if seq < len(headers) else None
            if digest is None:
                yield f"PART: {where} has no header"
                continue
            if commitment(salt, body) != digest.commitment:
                yield f"PART: {where} is not what its header commits to"
            tiers = _tiers_up(tree, journal, node)
            if tiers > 0 and digest.reach < 15 and tiers > digest.reach:
                yield f"PART: {where} is beyond its reach of {digest.reach}"
            early = digest.release is Release.WHEN_ACCEPTED and tiers > 1
            if early and (journal, seq) not in node.releases:
                yield f"PART: {where} came before its acceptance"


def everything_arrived(tree: TreeView) -> Iterator[str]:
    """Equal frontiers: every journal is whole wherever its audience is."""
    for origin in tree.nodes.values():
        for journal, headers in origin.headers.items():
            if journal.node_id != origin.node_id:
                continue
            certain = tree.certain(journal, len(headers))
            is_forked = journal in tree.forked
            audience = _audience(tree, journal)
            for node in tree.nodes.values():
                due = node.node_id in audience
                size = len(node.headers.get(journal, ()))
                if due and (size < certain or (size != certain and not is_forked)):
                    yield f"SHORT: {name(journal)} at {node.path} has {size} of {len(headers)}"
                if not due and size and node is not origin:
                    yield f"ASTRAY: {name(journal)} at {node.path}"


def parts_arrived(tree: TreeView) -> Iterator[str]:
    """Every part is where its reach and its release let it be."""
    audiences: dict[JournalId, list[NodeView]] = {}
    for origin in tree.nodes.values():
        for journal, seq, part in origin.parts:
            if journal.node_id != origin.node_id or tree.certain(journal, seq + 1) <= seq:
                continue
            headers = origin.headers.get(journal, ())
            digest = decode_header(headers[seq]).part(part) if seq < len(headers) else None
            if digest is None:
                continue  # It has no header, which is named elsewhere.
            if journal not in audiences:
                audiences[journal] = [*_audience(tree, journal).values()]
            for node in audiences[journal]:
                tiers = _tiers_up(tree, journal, node)
                due = tiers <= 0 or (
                    (digest.reach == 15 or tiers <= digest.reach)
                    and (
                        tiers == 1
                        or digest.release is Release.AT_ONCE
                        or (journal, seq) in node.releases
                    )
                )
                if due and (journal, seq, part) not in node.parts:
                    yield f"PART: {name(journal)} {seq} {part} is missing at {node.path}"


@lru_cache(maxsize=16_384)
def _root_of(headers: tuple[bytes, ...]) -> bytes:
    return EMPTY_FRONTIER.append_many(leaf_hashes(headers)).root()


def goes_to(tree: TreeView, journal: JournalId, node: NodeView) -> bool:
    """Whether a journal's audience includes a node: every hop from its origin lets it pass."""
    return _passes(journal.channel, tree.nodes[journal.node_id].path.labels, node.path.labels)


def _audience(tree: TreeView, journal: JournalId) -> dict[NodeId, NodeView]:
    return {node.node_id: node for node in tree.nodes.values() if goes_to(tree, journal, node)}


@lru_cache(maxsize=65_536)
def _passes(channel: str, origin_labels: tuple[str, ...], target_labels: tuple[str, ...]) -> bool:
    origin = Path(origin_labels)
    way = _way(origin, Path(target_labels))
    return all(lanes_for(channel, origin, own, peer) in set(Lane) for own, peer in pairwise(way))


def name(journal: JournalId) -> str:
    """Return a short name of a journal for a sentence."""
    return f"{journal.node_id.hex()[:8]}/{journal.channel}/{journal.epoch}"


def _way(origin: Path, target: Path) -> list[Path]:
    top = origin.common_ancestor(target)
    up = [origin]
    while up[-1] != top:
        parent = up[-1].parent
        assert parent is not None
        up.append(parent)
    return [*up, *[Path(target.labels[:n]) for n in range(top.depth + 1, target.depth + 1)]]


def _tiers_up(tree: TreeView, journal: JournalId, node: NodeView) -> int:
    return tree.nodes[journal.node_id].path.depth - node.path.depth
