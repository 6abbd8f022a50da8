"""All affairs of one node, put together: what the store folds and decides, and the commands."""

from collections.abc import Callable

from yidao.node.access.service import Access, AccessOptions
from yidao.node.affairs.catalog.views import CatalogProjector
from yidao.node.affairs.desk import Desk
from yidao.node.affairs.directives.deciders import DeliveryDecider
from yidao.node.affairs.directives.views import DirectiveProjector
from yidao.node.affairs.registry.views import UnitProjector
from yidao.node.affairs.reporting.commands import Submission
from yidao.node.affairs.reporting.deciders import DoubtDecider
from yidao.node.affairs.reporting.review import Review
from yidao.node.affairs.reporting.views import ReturnProjector
from yidao.node.affairs.reporting.withdrawal import Withdrawal
from yidao.node.affairs.sharing.answers import Answers
from yidao.node.affairs.sharing.offers import CatalogShelf
from yidao.node.affairs.signoff.batches import Batches
from yidao.node.affairs.signoff.deciders import SignoffAlarm
from yidao.node.affairs.signoff.policies import Policies
from yidao.node.affairs.signoff.views import SignoffProjector
from yidao.node.affairs.standards.views import PackProjector
from yidao.node.keys import Identity
from yidao.node.store.projections import Decider, Projector
from yidao.node.store.store import Store


class Affairs:
    """The affairs of one node.

    Make it once the store is bound, then start the store with its projectors
    and deciders.

    Attributes:
        access: Who may do what here.
        projectors: In the order in which they fold a batch: packs before the
            returns that are read by them.
        deciders: In the order in which they look at a batch.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes],
        access: AccessOptions | None = None,
    ) -> None:
        options = access or AccessOptions()
        self.access = Access(store, options, clock_ms=clock_ms, random=random)
        self.desk = Desk(store=store, identity=identity, clock_ms=clock_ms, random=random)
        self.projectors: tuple[Projector, ...] = (
            PackProjector(),
            UnitProjector(),
            ReturnProjector(),
            DirectiveProjector(),
            *self.access.projectors,
            CatalogProjector(),
            SignoffProjector(),
        )
        self.deciders: tuple[Decider, ...] = (
            DoubtDecider(self.desk),
            DeliveryDecider(self.desk),
            SignoffAlarm(),
        )
        self.submission = Submission(self.desk)
        self.review = Review(self.desk)
        self.withdrawal = Withdrawal(self.desk)
        self.policies = Policies(self.desk)
        self.batches = Batches(self.desk)
        self.shelf = CatalogShelf()
        self.answers = Answers(self.desk, self.shelf, self.access.fields)
