"""The files of a key folder."""

from typing import Final

from yidao.sync.epoch import FIRST

FOLDER_NAME: Final = "keys"
TLS_KEY: Final = "tls.key"
TLS_CHAIN: Final = "tls.chain.pem"
CA_KEY: Final = "ca.key"
CA_CHAIN: Final = "ca.chain.pem"
JOURNAL_KEY: Final = "journal.key"
COSIGN_KEY: Final = "cosign.key"
COSIGN_PQ_KEY: Final = "cosign-pq.key"
ROOT_CERTIFICATE: Final = "root.pem"
ROOT_STATEMENT: Final = "root.statement"
#: The root list in force, where the network has one; the store keeps every step.
ROOT_LIST: Final = "root.list"
#: A root certificate that waits for the list that names it, at the root.
NEXT_CA_KEY: Final = "ca.next.key"
NEXT_ROOT: Final = "root.next.pem"
CHAIN: Final = "chain.json"
IDENTITY: Final = "identity.json"
TAINTED: Final = "tainted.json"

FIRST_EPOCH: Final = FIRST


def key_names(epoch: str) -> tuple[str, str]:
    """Return the file names of an epoch's journal key and cosigning key."""
    if epoch == FIRST_EPOCH:
        return JOURNAL_KEY, COSIGN_KEY
    return f"journal-{epoch}.key", f"cosign-{epoch}.key"


def epoch_count(epoch: str) -> int:
    """Return the number of an epoch, whatever mark it bears."""
    return int(epoch.partition("-")[0])
