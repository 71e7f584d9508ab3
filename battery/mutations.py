"""Mutations: each protection is left out in turn, and the battery must find the harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from battery.round import Outcome, play
from battery.trial import Trial
from battery.trials import TRIALS
from deployengine import failpoints
from tests.support.postgres import PostgresServer, private_postgres

#: Seeds that are tried until the harm shows: it needs a meeting of two at the wrong moment.
TRIES = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a trial: the harm without the protection, and what was broken with it."""

    trial: Trial
    tries: int
    found: tuple[str, ...]
    broken_with_it: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Harm without it and none with it."""
        return bool(self.found) and not self.broken_with_it

    def document(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "protection": self.trial.protection,
            "against": failpoints.MUTATIONS.get(self.trial.protection, ""),
            "also_left_out": list(self.trial.further),
            "not_judged": list(self.trial.harm_of_further),
            "found": list(self.found[:5]),
            "broken_with_it": list(self.broken_with_it[:5]),
            "tries": self.tries,
            "seconds": round(self.seconds, 1),
            "good": self.good,
        }


def findings(seed: str, names: Sequence[str], tell: Callable[[Outcome], None]) -> Iterable[Finding]:
    """Carries out the trials of these names, or all of them."""
    with ExitStack() as stack:
        servers: dict[str, PostgresServer | None] = {"sqlite": None}
        for trial in TRIALS:
            if names and trial.protection not in names:
                continue
            if trial.database not in servers:
                servers[trial.database] = stack.enter_context(private_postgres())
            yield _tried(trial, seed, servers[trial.database], tell)


def untried() -> list[str]:
    """Protections of the engine without a trial."""
    return sorted(failpoints.MUTATIONS.keys() - {trial.protection for trial in TRIALS})


def _tried(
    trial: Trial, seed: str, server: PostgresServer | None, tell: Callable[[Outcome], None]
) -> Finding:
    seconds, found, number = 0.0, list[str](), 0
    while not found and number < TRIES:
        number += 1
        outcome = play(trial.plan(f"{seed}-{number}", without=True), server)
        seconds += outcome.seconds
        found = trial.done(outcome)
    kept = play(trial.plan(f"{seed}-{number}", without=False), server)
    tell(kept)
    broken = trial.broken(kept)
    return Finding(trial, number, tuple(found), tuple(broken), seconds + kept.seconds)
