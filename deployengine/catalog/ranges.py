"""Ranges in names: ``prod-[01:30]`` stands for thirty names, as in Ansible inventories."""

from __future__ import annotations

import re
from itertools import product

#: The most names that one range may stand for; more is a slip of the finger.
MOST = 10_000

_RANGE = re.compile(r"\[([0-9]+|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]")


class BadRange(ValueError):
    """A range in a name is written wrongly, empty, or stands for more than :data:`MOST` names."""


def expand(name: str) -> tuple[str, ...]:
    """The names that this one stands for, itself alone when it has no range.

    ``[01:30]`` pads with zeros, ``[1:30]`` does not, ``[a:f]`` counts letters and ``[1:30:2]``
    takes every second one. Of several ranges the last counts fastest. Raises :class:`BadRange`.
    """
    parts = _RANGE.split(name)
    if any("[" in text or "]" in text for text in parts[::4]):
        raise BadRange(f"{name!r} is no range: write name-[01:30], name-[a:f] or name-[0:30:5]")
    choices: list[list[str]] = [[parts[0]]]
    total = 1
    for index in range(1, len(parts), 4):
        first, last, step, text = parts[index : index + 4]
        counted = _count(first, last, step)
        total *= len(counted)
        if total > MOST:
            raise BadRange(f"{name!r} stands for more than {MOST} names")
        choices += [_written(counted, first), [text]]
    return tuple("".join(chosen) for chosen in product(*choices))


def _count(first: str, last: str, step: str | None) -> range:
    said = f"range [{first}:{last}]"
    if first.isdigit() != last.isdigit():
        raise BadRange(f"{said} mixes numbers and letters")
    if first.isdigit():
        if len(first) != len(last) and "0" in (first[:1] * (len(first) > 1), last[0]):
            raise BadRange(f"{said} must have as many digits at both ends, as in [001:200]")
        begin, end = int(first), int(last)
    else:
        if first.islower() != last.islower():
            raise BadRange(f"{said} mixes capital and small letters")
        begin, end = ord(first), ord(last)
    if begin > end:
        raise BadRange(f"{said} is empty: it ends before it begins")
    if step is not None and int(step) == 0:
        raise BadRange(f"{said} has a step of 0")
    return range(begin, end + 1, int(step or 1))


def _written(counted: range, first: str) -> list[str]:
    if not first.isdigit():
        return [chr(code) for code in counted]
    width = len(first) if first.startswith("0") else 0
    return [str(number).zfill(width) for number in counted]
