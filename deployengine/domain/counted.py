"""Counted: how many there are of something, for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 machine``, ``3 machines``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
