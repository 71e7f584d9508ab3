"""Values on their way into a text, and texts with values in them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Plain:
    """A variable's value, unsealed but with the references in it still standing."""

    name: str
    text: str = field(repr=False)
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Insertion:
    """A text with its values in place; ``secrets`` are what must never be shown of it."""

    text: str = field(repr=False)
    sensitive: bool = False
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def secret(text: str, secrets: frozenset[str]) -> Insertion:
    """A sensitive text. To mask the empty text would mask everything, so it is no secret."""
    return Insertion(text, True, secrets | {text} - {""})
