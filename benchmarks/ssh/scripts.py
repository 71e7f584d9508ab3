"""What is run: the same few lines for the engine and for its peers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scenario import GATE, WAIT_AT_GATE

JOURNAL = "journal"
LENGTHS = "lengths"

#: One line into the machine's journal, the work, and one line of output.
_TEXT = f"""\
echo "NAME" >> {JOURNAL}
WORK
echo "NAME has been here"
"""
#: The lengths lie on the machines, so that all of them are sent the same script.
_READ_AND_SLEEP = f'read -r seconds < "{LENGTHS}/NAME"\nsleep "$seconds"'


@dataclass(frozen=True, slots=True)
class Kind:
    """Scripts of one kind: what they do, and on the machines of which role.

    ``seconds`` are the shortest and the longest that one takes. Those that ``share`` let others
    onto their machine.
    """

    name: str
    work: str = ":"
    seconds: tuple[float, float] = (0.0, 0.0)
    role: str = "ssh"
    shares: bool = False

    def names(self, number: int) -> list[str]:
        """The names of so many of them."""
        return [f"{self.name}-{n:02}" for n in range(1, number + 1)]

    def text(self, name: str) -> str:
        """One of them; it begins in the machine's folder."""
        return _TEXT.replace("WORK", self.work).replace("NAME", name)

    def furnish(self, folders: Mapping[str, Path], number: int) -> float:
        """Lays the lengths onto the machines; how long the busiest machine's take in a row.

        The same number, the same lengths.
        """
        dice = random.Random(1)
        longest = 0.0
        for folder in folders.values():
            lengths = {name: round(dice.uniform(*self.seconds), 3) for name in self.names(number)}
            longest = max(longest, sum(lengths.values()))
            if self.work == _READ_AND_SLEEP:
                (folder / LENGTHS).mkdir(exist_ok=True)
                for name, seconds in lengths.items():
                    (folder / LENGTHS / name).write_text(f"{seconds:g}\n")
        return longest


TRIVIAL = Kind("trivial")
TENTH = Kind("tenth", "sleep 0.1", (0.1, 0.1))
UNEVEN = Kind("uneven", _READ_AND_SLEEP, (0.1, 0.9))
LONGER = Kind("longer", _READ_AND_SLEEP, (0.5, 4.5))
LOCAL = Kind("local", role="local")
GATED = Kind("gated", WAIT_AT_GATE, shares=True)

ALL: Sequence[Kind] = (TRIVIAL, TENTH, UNEVEN, LONGER, LOCAL, GATED)

__all__ = [
    "ALL",
    "GATE",
    "GATED",
    "JOURNAL",
    "LOCAL",
    "LONGER",
    "TENTH",
    "TRIVIAL",
    "UNEVEN",
    "Kind",
]
