"""Numbers as .NET's patterns write them, in the way of no particular country."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

from deployengine.domain.filters.contract import BadOption, Unfit

_NUMBER = re.compile(r"\s*[+-]?(?:\d[\d,]*)?(?:\.\d*)?\s*")
_STANDARD = re.compile(r"(?P<letter>[A-Za-z])(?P<count>\d{0,2})")
_CUSTOM = re.compile(
    r"(?P<before>[^0#.,%‰;eE'\"\\]*)"
    r"(?P<whole>[0#,]*)(?:\.(?P<part>[0#]+))?"
    r"(?P<after>[^0#.,%‰;eE'\"\\]*)"
)
#: Beyond these a number is no amount that anybody deploys; and its digits fit into memory.
_LONGEST = 60


def number(text: str) -> Decimal | None:
    """The number that a text holds, ``None`` for any other text."""
    if not _NUMBER.fullmatch(text) or len(text) > _LONGEST:
        return None
    try:
        return Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        return None


def check_pattern(pattern: str) -> None:
    """Raises :class:`BadOption` for a pattern that :func:`written` cannot follow."""
    standard = _STANDARD.fullmatch(pattern)
    if standard and standard["letter"] not in "DdFfNnXx":
        raise BadOption(
            f"{pattern!r} is written in another way in each country, or not known here; "
            "there are D, F, N, X and patterns of 0 and #, as 0.00"
        )
    custom = _CUSTOM.fullmatch(pattern)
    if not standard and not (custom and (custom["whole"] or custom["part"])):
        raise BadOption(f"{pattern!r} is no pattern of a number, as 0.00 and #,##0 are")


def written(value: Decimal, pattern: str) -> str:
    """The number in this pattern; raises :class:`BadOption` and :class:`Unfit`."""
    check_pattern(pattern)
    standard = _STANDARD.fullmatch(pattern)
    if standard is None:
        return _custom(value, pattern)
    letter, count = standard["letter"], standard["count"]
    if letter in "FfNn":
        grouped = "," if letter in "Nn" else ""
        return format(_rounded(value, int(count or 2)), f"{grouped}.{int(count or 2)}f")
    if value != value.to_integral_value():
        raise Unfit(f"it is no whole number, which {letter} needs")
    digits = str(abs(int(value))) if letter in "Dd" else _hexadecimal(int(value), letter)
    return ("-" if value < 0 else "") + digits.zfill(int(count or 0))


def _hexadecimal(value: int, letter: str) -> str:
    if value < 0:
        raise Unfit(f"it is less than 0, which {letter} cannot write")
    return format(value, letter)


def _rounded(value: Decimal, places: int) -> Decimal:
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, Context(prec=_LONGEST * 3))
    return rounded if rounded else abs(rounded)


def _custom(value: Decimal, pattern: str) -> str:
    """``0`` is a digit in any case, ``#`` one if there is one; a comma groups thousands."""
    found = _CUSTOM.fullmatch(pattern)
    assert found  # check_pattern has seen it
    part = found["part"] or ""
    rounded = _rounded(value, len(part))
    whole, _, rest = format(abs(rounded), "f").partition(".")
    wanted = found["whole"].replace(",", "")
    least = len(wanted) - wanted.index("0") if "0" in wanted else 0
    whole = whole.lstrip("0").zfill(least)
    if "," in found["whole"]:
        whole = _grouped(whole)
    kept = part.rfind("0") + 1
    rest = rest[:kept] + rest[kept:].rstrip("0")
    sign = "-" if rounded < 0 else ""
    return f"{sign}{found['before']}{whole}{'.' if rest else ''}{rest}{found['after']}"


def _grouped(digits: str) -> str:
    first = len(digits) % 3
    groups = [digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))]
    return ",".join(group for group in groups if group)
