"""A trial: the smallest round in which leaving one protection out does harm that the judge sees."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from battery.faults.fault import Fault
from battery.round import Outcome, Plan
from battery.schedule import Planned

#: Seconds in which everything must come to rest, with the protection and without it alike.
PATIENCE = 30.0

Make = Callable[[random.Random], Fault]

#: Everything that takes a machine for itself.
ALONE = ("app-1", "app-2", "app-3", "app-4", "again", "secret")
#: Everything that shares machines and runs for seconds.
LONG = ("long-1", "ask", "rerun", "share-1")


@dataclass(frozen=True, slots=True)
class Trial:
    """What is done, and what it must lead to when the protection is left out."""

    protection: str
    #: Rules of which one must be broken without the protection. With it nothing may be broken.
    harm: tuple[str, ...]
    projects: tuple[str, ...] = ALONE
    #: Faults that are injected in turn, so many seconds apart.
    faults: Sequence[Make] = ()
    every: float = 3.0
    arms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sleep: float = 3.0
    renew: bool = True
    #: Protections before or behind this one, left out in both halves of the trial.
    further: tuple[str, ...] = ()
    #: Rules that leaving out the further ones breaks by itself, whatever this protection does.
    harm_of_further: tuple[str, ...] = ()
    seconds: float = 10.0
    long_everywhere: bool = False
    database: str = "sqlite"

    def plan(self, seed: str, *, without: bool) -> Plan:
        """The round with the protection, or without it."""
        dice = random.Random(f"{seed} {self.protection}")
        made = [make(dice) for make in self.faults]
        count = int(self.seconds / self.every) if made else 0
        return Plan(
            f"{seed}-{self.protection}-{'out' if without else 'in'}",
            [Planned(2.0 + n * self.every, self.faults[n % len(made)](dice)) for n in range(count)],
            failpoints=bool(self.arms),
            at_least=self.seconds,
            at_most=self.seconds + 2,
            lease=1.0,
            mutations=(*self.further, *((self.protection,) if without else ())),
            arms=self.arms,
            sleep=self.sleep,
            renew=self.renew,
            projects=self.projects,
            long_everywhere=self.long_everywhere,
            end_within=PATIENCE,
        )

    def done(self, outcome: Outcome) -> list[str]:
        """What of the harm was done."""
        return [
            f"{v.rule}: {v.message}"
            for v in outcome.violations
            if v.rule in self.harm and not v.message.startswith("process")
        ]

    def broken(self, outcome: Outcome) -> list[str]:
        """Every rule that was broken, but for what the further ones that are left out do alone."""
        return [
            f"{v.rule}: {v.message}"
            for v in outcome.violations
            if v.rule not in self.harm_of_further
        ]
