"""What a filter is: made ready with its options, then applied to a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: What a filter does with the text that it is given.
Change = Callable[[str], str]


class BadOption(ValueError):
    """An option that the filter cannot work with, whatever the text; says what it must be."""


class Unfit(ValueError):
    """A text that the filter cannot work with; says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter by its Octopus name.

    ``usage`` shows its options: one word each, in brackets when it may be left out, and with an
    ellipsis when it may stand many times. ``prepare`` takes the options and gives the change; it
    raises :class:`BadOption`, and the change :class:`Unfit`.
    """

    name: str
    usage: str
    prepare: Callable[..., Change]

    def takes(self, count: int) -> bool:
        """Whether it can be given so many options."""
        words = self.usage.split()
        least = sum(not word.startswith("[") for word in words)
        return least <= count and (count <= len(words) or self.usage.endswith("…"))

    def __str__(self) -> str:
        return f"{self.name} {self.usage}".rstrip()


def whole_number(option: str) -> int:
    """The number that an option names, 0 or more; raises :class:`BadOption`."""
    if not (option.isascii() and option.isdigit() and len(option) < 10):
        raise BadOption(f"{option!r} is no whole number")
    return int(option)


def yes_or_no(answer: bool) -> str:
    """The answer of a filter that asks something."""
    return "true" if answer else "false"
