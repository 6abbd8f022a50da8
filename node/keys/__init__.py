"""The private files of one node, and the identity that they make up.

`keys/` holds every secret of a node. A file of it is used only if it is a
regular file of this user that nobody else can read; the check is made on the
open file, not on its name, so that nothing can be exchanged in between. Files
are written once, completely, and survive a power loss before the call returns.
"""

from yidao.node.keys.files import MAX_FILE_BYTES, read_private
from yidao.node.keys.folder import KeyFolder
from yidao.node.keys.names import (
    CA_CHAIN,
    CA_KEY,
    CHAIN,
    COSIGN_KEY,
    COSIGN_PQ_KEY,
    FIRST_EPOCH,
    FOLDER_NAME,
    IDENTITY,
    JOURNAL_KEY,
    NEXT_CA_KEY,
    NEXT_ROOT,
    ROOT_CERTIFICATE,
    ROOT_LIST,
    ROOT_STATEMENT,
    TAINTED,
    TLS_CHAIN,
    TLS_KEY,
    epoch_count,
    key_names,
)
from yidao.node.keys.signers import load_tls_key
from yidao.node.keys.values import STANDARD_KEYS, Chain, Identity, KeyKinds, NodeCertificates

__all__ = [
    "CA_CHAIN",
    "CA_KEY",
    "CHAIN",
    "COSIGN_KEY",
    "COSIGN_PQ_KEY",
    "FIRST_EPOCH",
    "FOLDER_NAME",
    "IDENTITY",
    "JOURNAL_KEY",
    "MAX_FILE_BYTES",
    "NEXT_CA_KEY",
    "NEXT_ROOT",
    "ROOT_CERTIFICATE",
    "ROOT_LIST",
    "ROOT_STATEMENT",
    "STANDARD_KEYS",
    "TAINTED",
    "TLS_CHAIN",
    "TLS_KEY",
    "Chain",
    "Identity",
    "KeyFolder",
    "KeyKinds",
    "NodeCertificates",
    "epoch_count",
    "key_names",
    "load_tls_key",
    "read_private",
]
