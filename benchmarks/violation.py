"""A rule that was broken, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach; ``rule`` is a short name that stays the same, ``message`` names who and when."""

    rule: str
    message: str
    machine: str | None = None
