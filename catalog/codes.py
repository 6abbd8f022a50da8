"""Codes with check digits: institutions, people, vehicles; and sample codes for tests.

Sources of the algorithms: GB 32100-2015 (统一社会信用代码), GB 11714-1997
(组织机构代码), GB 11643-1999 (公民身份号码), GB 16735-2019 (VIN), GA 36-2018
(plates). Each is tested on published sample codes.
"""

import re
from datetime import date

from yidao.catalog.errors import CodeInvalid

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # no I O S V Z
_USCC_VALUE = {char: value for value, char in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_ORG_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUE = dict(
    zip(
        "ABCDEFGHJKLMNPRSTUVWXYZ0123456789",
        (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9, *range(10)),
        strict=True,
    )
)

USCC_PATTERN = "^[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}$"
_USCC = re.compile(USCC_PATTERN[1:-1])
_ORG = re.compile(r"[0-9A-Z]{8}-?[0-9X]")
_RESIDENT = re.compile(r"[1-9][0-9]{16}[0-9X]")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_PLATE = re.compile(
    "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z]"
    "(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]|[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK])"
)

#: First two characters of codes given by the 机构编制 authorities: 机关, 事业单位, 群团.
USCC_KINDS = ("11", "12", "13")
_SAMPLES = 100_000_000


def uscc_check_digit(first17: str) -> str:
    """Compute the 18th character of a 统一社会信用代码.

    Raises:
        CodeInvalid: Not 17 characters of the code's alphabet.
    """
    if len(first17) != 17 or any(char not in _USCC_VALUE for char in first17):
        raise CodeInvalid(kind="uscc")
    total = sum(_USCC_VALUE[c] * w for c, w in zip(first17, _USCC_WEIGHTS, strict=True))
    return _USCC_ALPHABET[-total % 31]


def org_check_digit(first8: str) -> str:
    """Compute the last character of a 组织机构代码.

    Raises:
        CodeInvalid: Not 8 capital letters and digits.
    """
    if len(first8) != 8 or any(char not in _ORG_ALPHABET for char in first8):
        raise CodeInvalid(kind="org_code")
    total = sum(_ORG_ALPHABET.index(c) * w for c, w in zip(first8, _ORG_WEIGHTS, strict=True))
    return "0123456789X0"[11 - total % 11]


def uscc_ok(code: str) -> bool:
    """Tell whether a text is a well-formed 统一社会信用代码 with a right check character.

    The inner organisation code's own check digit is not asked for: GB 32100
    admits codes that predate it.
    """
    return _USCC.fullmatch(code) is not None and uscc_check_digit(code[:17]) == code[17]


def org_code_ok(code: str) -> bool:
    """Tell whether a text is a 组织机构代码, with or without its hyphen."""
    return _ORG.fullmatch(code) is not None and org_check_digit(code[:8]) == code[-1]


def resident_id_ok(number: str) -> bool:
    """Tell whether a text is an 18-character 公民身份号码: real birthday, right check digit."""
    if _RESIDENT.fullmatch(number) is None:
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(c) * w for c, w in zip(number[:17], _ID_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17]


def vin_ok(vin: str) -> bool:
    """Tell whether a text is a 17-character vehicle identification number with its check digit."""
    if _VIN.fullmatch(vin) is None:
        return False
    total = sum(_VIN_VALUE[c] * w for c, w in zip(vin, _VIN_WEIGHTS, strict=True))
    return "0123456789X"[total % 11] == vin[8]


def plate_ok(plate: str) -> bool:
    """Tell whether a text is an ordinary (7) or a new-energy (8 characters) civil plate."""
    return _PLATE.fullmatch(plate) is not None


def sample_uscc(index: int, region6: str, kind: str = "11") -> str:
    """Make a valid-looking sample 统一社会信用代码; equal arguments give equal codes.

    Both check digits are right and different indices give different codes.
    The result is for samples and tests: it may coincide with a real code.

    Args:
        index: 0 to 99,999,999.
        region6: The six-digit division code.
        kind: "11" 机关, "12" 事业单位, "13" 群团.

    Raises:
        CodeInvalid: An argument is out of its range.
    """
    if not 0 <= index < _SAMPLES or kind not in USCC_KINDS:
        raise CodeInvalid(kind="uscc")
    if re.fullmatch("[0-9]{6}", region6) is None:
        raise CodeInvalid(kind="uscc")
    first8 = f"{index:08d}"
    first17 = kind + region6 + first8 + org_check_digit(first8)
    return first17 + uscc_check_digit(first17)
