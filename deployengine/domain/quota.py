"""Quotas: a number of machines, or a share of them."""

from __future__ import annotations

#: 3, or "10%" of however many there are.
Quota = int | str


def at_least(quota: Quota, among: int) -> int:
    """How many of so many machines that is, a share rounded up: never none."""
    return quota if isinstance(quota, int) else max(1, -(-_hundredths(quota, among) // 100))


def at_most(quota: Quota, among: int) -> int:
    """The same, with a share rounded down: never more than it says."""
    return quota if isinstance(quota, int) else _hundredths(quota, among) // 100


def _hundredths(share: str, among: int) -> int:
    return int(share.removesuffix("%")) * among
