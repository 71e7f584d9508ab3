"""Figures: what is measured, its goal, what was seen, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """Seconds that something took, and those that it may take."""

    name: str
    goal: float
    seen: float

    @property
    def within(self) -> bool:
        """Whether the goal was kept."""
        return self.seen <= self.goal


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measure found; ``harms`` is what went wrong beside the time that it took."""

    name: str
    figures: Sequence[Figure]
    harms: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Whether every figure keeps its goal and nothing was harmed."""
        return not self.harms and all(figure.within for figure in self.figures)

    def document(self) -> dict[str, Any]:
        """As it is printed."""
        figures = [
            {"figure": f.name, "goal_s": f.goal, "seen_s": round(f.seen, 3), "within": f.within}
            for f in self.figures
        ]
        return {
            "measure": self.name,
            "reached": self.reached,
            "figures": figures,
            "harms": list(self.harms),
            **self.details,
        }


def table(measured: Iterable[Measured]) -> str:
    """In Markdown: figure, goal, seen, reached; below it the harms, if there are any."""
    measured = list(measured)
    lines = ["| Figure | Goal | Seen | Reached |", "|---|---|---|---|"]
    for each in measured:
        for figure in each.figures:
            kept = figure.within and not each.harms
            words = (figure.name, f"≤ {figure.goal:g} s", f"{figure.seen:.2f} s", _word(yes=kept))
            lines.append(f"| {' | '.join(words)} |")
        nothing = f"{len(each.harms)} harms" if each.harms else "nothing"
        lines.append(
            f"| {each.name}: lost, failed, out of order or run twice | nothing | {nothing} "
            f"| {_word(yes=not each.harms)} |"
        )
    lines += [f"- {each.name}: {harm}" for each in measured for harm in each.harms]
    return "\n".join(lines)


def _word(*, yes: bool) -> str:
    return "yes" if yes else "**no**"
