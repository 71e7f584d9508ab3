"""Clash: when of two claims on the same thing one keeps the other out."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_

from deployengine.domain.admission import Mode


def clash(one: ColumnElement[str], other: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether two modes do: at least one is exclusive."""
    return or_(one == Mode.EXCLUSIVE, other == Mode.EXCLUSIVE)
