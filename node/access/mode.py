"""How strictly a node keeps duties apart: strictly, unless the network is for trying out. Pure.

The three choices stand in the settings, which the machine's account can write. So
each start writes what holds into the audit, if it is not what held before:
`access.mode.stated`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from yidao.node.access.roles import Permission


class LocalAccount(StrEnum):
    """What a call without a token may do.

    Attributes:
        FULL: Everything, in anybody's name: for test networks and developers.
        OPERATOR: Keep the node running, and make the first administrators.
    """

    FULL = "full"
    OPERATOR = "operator"


#: What an operator may do. Nothing of it decides in an affair, or shows what institutions report.
OPERATES: Final = frozenset(
    {
        Permission.NODE_READ,
        Permission.NODE_OPERATE,
        Permission.STANDARDS_READ,
        Permission.CATALOG_READ,
        Permission.ACCESS_BOOTSTRAP,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What holds at a node.

    Attributes:
        local_account: What the account that owns the socket may do.
        four_eyes: What destroys or empowers takes two (`pairs`).
        administrator_keys: Administrators sign in with a key too.
    """

    local_account: LocalAccount = LocalAccount.FULL
    four_eyes: bool = False
    administrator_keys: bool = False

    @classmethod
    def of(
        cls,
        *,
        test_network: bool,
        local_account: str | None = None,
        four_eyes: bool | None = None,
        administrator_keys: bool | None = None,
    ) -> Self:
        """Give what holds: what is not chosen is strict, unless the network is for trying out."""
        usual = LocalAccount.FULL if test_network else LocalAccount.OPERATOR
        strict = not test_network
        return cls(
            local_account=usual if local_account is None else LocalAccount(local_account),
            four_eyes=strict if four_eyes is None else four_eyes,
            administrator_keys=strict if administrator_keys is None else administrator_keys,
        )

    @property
    def local_permissions(self) -> frozenset[Permission]:
        """What the account that owns the socket may do."""
        if self.local_account is LocalAccount.FULL:
            return frozenset(Permission)
        return OPERATES

    def told(self) -> str:
        """Write it for the audit."""
        return (
            f"local_account={self.local_account} four_eyes={str(self.four_eyes).lower()} "
            f"administrator_keys={str(self.administrator_keys).lower()}"
        )
