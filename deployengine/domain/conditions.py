"""Conditions: texts such as ``#{DeployIt}`` that say whether something is to be done."""

from __future__ import annotations

from collections.abc import Mapping

from deployengine.domain.expansion import Around, Expansion, Placed, bounded
from deployengine.domain.template_parser import parse
from deployengine.domain.truth import truth
from deployengine.domain.values import Plain

__all__ = ["evaluate_condition", "truth"]

_CONDITION = Around("the condition")


@bounded()
def evaluate_condition(text: str, values: Mapping[str, Plain]) -> bool:
    """Whether a condition holds: what it comes to with the values, taken by :func:`truth`.

    A variable that has no value counts as the empty text, as in ``#{if …}``. Raises as
    :class:`Expansion` for what cannot be read or worked out, a value of an unknown one included.
    """
    expansion = Expansion(values)
    pieces = []
    for part in expansion.flat(parse(text), _CONDITION):
        found = expansion.optional(part) if isinstance(part, Placed) else None
        pieces.append(part if isinstance(part, str) else found.text if found else "")
    return truth("".join(pieces))
