"""What a node knows others by, and what it shows of itself: root certificates and a chain."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from yidao.node.keys import Chain
from yidao.node.link.errors import LinkPathMismatch
from yidao.node.link.tokens import Anchor
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx
from yidao.sync.enrolment import KIND as KIND_ENROLLED
from yidao.sync.enrolment import verify_chain
from yidao.sync.message import EnrolmentProof, Hello
from yidao.sync.record import decode_header


class TrustChain:
    """The chain from the root down to this node, kept up to date. Lives on the event loop.

    Attributes:
        chain: The root's statement, and the proofs down to this node.
        root_pem: The root certificates under which everybody is checked.
    """

    def __init__(
        self, store: Store, chain: Chain, root_pem: bytes, save: Callable[[Chain], None]
    ) -> None:
        self._store = store
        self._save = save
        self.chain = chain
        self.root_pem = root_pem

    def anchor_on(self, anchor: Anchor) -> None:
        """Check whoever comes from now on under these root certificates."""
        self.root_pem = anchor.root_pem
        if anchor.statement != self.chain.statement:
            self._keep(Chain(statement=anchor.statement, proofs=self.chain.proofs))

    async def learn(self, hello: Hello) -> bool:
        """Learn the keys of all nodes above from a parent's hello, once they are proved.

        Returns:
            Whether they are others than before: children that were told those must hear of it.

        Raises:
            LinkPathMismatch: The chain is not of the node that speaks.
            PeerError: The chain does not hold.
        """
        *before, _ = verify_chain(self.root_pem, self.chain.statement, self.chain.proofs)
        enrolments = verify_chain(self.root_pem, self.chain.statement, hello.chain)
        if enrolments[-1].path != hello.path or enrolments[-1].node_id != hello.node_id:
            raise LinkPathMismatch(said=str(enrolments[-1].path), certified=str(hello.path))

        def learn(tx: Tx) -> None:
            above = enrolments[0].node_id
            for each in enrolments:
                tx.learn(each, above)
                above = each.node_id

        await asyncio.wrap_future(self._store.submit(learn))
        fresh = replace(self.chain, proofs=(*hello.chain, *_own_proofs(self.chain)))
        if fresh != self.chain:
            self._keep(fresh)
        return list(enrolments) != before

    async def prove_changes(self) -> None:
        """Let the chain grow by the records of how this node changed its keys."""
        node_id = self._store.identity.node_id
        steps = await asyncio.to_thread(self._store.prove_epochs, node_id)
        enrolled = self.chain.proofs[: len(self.chain.proofs) - len(_own_proofs(self.chain)) + 1]
        self._keep(replace(self.chain, proofs=(*enrolled, *steps)))

    def _keep(self, chain: Chain) -> None:
        self.chain = chain
        self._save(chain)


def _own_proofs(chain: Chain) -> tuple[EnrolmentProof, ...]:
    """Return what a node's chain says of the node itself: its enrolment, and what it changed."""
    kinds = [decode_header(proof.header).kind for proof in chain.proofs]
    last = max(index for index, kind in enumerate(kinds) if kind == KIND_ENROLLED)
    return chain.proofs[last:]
