"""Says in time that this node's certificate ends: at two thirds of its life, not at its end.

An expired certificate fails inside TLS, before anybody can say why. So the cause is
named here, at the node that must act, while its line still stands.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from cryptography import x509

from yidao.node.clock import utc
from yidao.node.store.store import Store
from yidao.node.store.transaction import Tx

ENDS_SOON: Final = "CERTIFICATE_ENDS_SOON"
ENDED: Final = "CERTIFICATE_ENDED"

_CODES: Final = (ENDS_SOON, ENDED)


class CertificateWatch:
    """Looks at the node's own certificate.

    Args:
        chain_pem: Gives the certificate that the node shows now, and those above it.
    """

    def __init__(
        self, store: Store, clock_ms: Callable[[], int], chain_pem: Callable[[], bytes]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._chain_pem = chain_pem
        self._said: tuple[str, int] | None = None

    async def run(self) -> None:
        """Raise what is due, once a day, and clear what a new certificate mended."""
        code, days = self.due()
        if (code, days) == self._said:
            return
        until = self._leaf().not_valid_after_utc.date().isoformat()

        def tell(tx: Tx) -> None:
            for other in _CODES:
                if other != code:
                    tx.clear_problems(other)
            if code:
                tx.raise_problem(code, until=until, days=days)

        await asyncio.wrap_future(self._store.submit(tell))
        self._said = (code, days)

    def due(self) -> tuple[str, int]:
        """Return the code of what is to be said, "" for nothing, and the whole days left."""
        leaf = self._leaf()
        begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        now = utc(self._clock_ms())
        if now >= ends:
            return ENDED, 0
        if now >= ends - (ends - begins) / 3:
            return ENDS_SOON, (ends - now).days
        return "", 0

    def _leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self._chain_pem())
