"""When which fault is injected: drawn before the round, from its seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from battery.faults import (
    broker_faults,
    clock_faults,
    database_faults,
    machine_faults,
    people,
    process_faults,
    redis_faults,
    ssh_faults,
)
from battery.faults.fault import Fault

#: Every kind, and how often it is drawn compared with the others.
KINDS: tuple[tuple[type[Fault], int], ...] = (
    (process_faults.KillWorker, 6),
    (process_faults.KillAllWorkers, 2),
    (process_faults.KillHousekeeping, 3),
    (process_faults.Stop, 4),
    (process_faults.StopAllWorkers, 1),
    (process_faults.StopHousekeeping, 2),
    (process_faults.Tell, 3),
    *((kind, 1) for kind in redis_faults.FAULTS),
    *((kind, 2) for kind in broker_faults.FAULTS),
    *((kind, 2) for kind in database_faults.FAULTS),
    *((kind, 2) for kind in machine_faults.FAULTS),
    *((kind, 2) for kind in ssh_faults.FAULTS),
    *((kind, 1) for kind in clock_faults.FAULTS),
    *people.ERRANDS,
)

#: The kinds that are lawful acts; they are reported apart from the faults.
ACTS = frozenset(kind.kind for kind, _ in KINDS if kind.lawful)


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault and its earliest moment, in seconds from the round's begin."""

    at: float
    fault: Fault


def drawn(
    seed: str,
    count: int,
    spacing: float,
    lease: float,
    kinds: Sequence[tuple[type[Fault], int]] = KINDS,
) -> list[Planned]:
    """So many faults, each kind at least once as far as they reach, about ``spacing`` s apart."""
    dice = random.Random(f"{seed} schedule")
    each = [kind for kind, _ in kinds]
    dice.shuffle(each)
    names, weights = [kind for kind, _ in kinds], [weight for _, weight in kinds]
    chosen = each[:count] + dice.choices(names, weights, k=max(count - len(each), 0))
    dice.shuffle(chosen)
    at, planned = 1.0, []
    for kind in chosen:
        at += dice.uniform(0.4, 1.6) * spacing
        planned.append(Planned(at, kind.drawn(dice, lease)))
    return planned
