"""What the setup of the fan-in bench hands to the process that plays the children."""

import pickle
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from yidao.sync.message import EnrolmentProof

CHILDREN_FILE: Final = "children.pickle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What one child shows and says of itself."""

    node_id: bytes
    path: str
    tls_key: bytes
    tls_chain: bytes
    proof: EnrolmentProof


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A parent and its children, as the setup leaves them in a file."""

    network: bytes
    parent_id: bytes
    parent_path: str
    address: str
    root_pem: bytes
    chain: tuple[EnrolmentProof, ...]
    keepalive_seconds: float
    children: tuple[Enrolled, ...]

    def save(self, folder: FilePath) -> None:
        """Write it where the process of the children looks."""
        (folder / CHILDREN_FILE).write_bytes(pickle.dumps(self))

    @staticmethod
    def load(folder: FilePath) -> "Family":
        """Read what `save` wrote."""
        family = pickle.loads((folder / CHILDREN_FILE).read_bytes())
        assert isinstance(family, Family)
        return family
