"""Truth: which texts mean yes."""

from __future__ import annotations

_FALSE = frozenset({"", "false", "no", "0"})


def truth(text: str) -> bool:
    """Whether a text is true as Octopus sees it: all but nothing, ``False``, ``No`` and ``0`` is.

    Case and surrounding space do not count, for a condition written as a block of YAML ends with a
    line break. (Octopus takes a lone space for true.)
    """
    return text.strip().casefold() not in _FALSE
