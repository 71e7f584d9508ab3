"""Series of rounds: the short one for CI, the long soak."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from battery import hunts
from battery.campaign import Campaign
from battery.round import Outcome, Plan, play
from battery.schedule import drawn
from tests.support.postgres import PostgresServer, private_postgres

LEASE = 1.5
#: Faults of a round's schedule, and seconds between two; failpoints come on top.
FAULTS, SPACING = 40, 0.7
#: Seconds of fire in a round.
LEAST, MOST = 20.0, 60.0
#: How often what hides is hunted for.
HUNTS = 3
#: The passings at which a failpoint kills, in the soak: one after the other, until a process has
#: ended unkilled.
PASSINGS = (1, 2, 3, 5, 8, 13, 21)

Tell = Callable[[Outcome], None]


def ci(seed: str, seconds: float, tell: Tell) -> Campaign:
    """Both databases in turn until every failpoint has killed, at most so many seconds."""
    campaign, begun = Campaign(seed), time.monotonic()
    with private_postgres() as server:
        for number, database in enumerate(_in_turn(server), 1):
            left = seconds - (time.monotonic() - begun)
            if number > 2 and (not campaign.complaints(0) or left < MOST + 45):
                break
            _add(campaign, _round(f"{seed}-{number}", campaign, database), tell)
        _hunt(campaign, tell)
    return campaign


def soak(seed: str, minutes: float, record: Path, tell: Tell, postgres: bool = True) -> Campaign:
    """Rounds with new seeds until the time is over; each leaves a line in the record."""
    campaign, end = Campaign(seed), time.monotonic() + 60 * minutes
    passing: Counter[str] = Counter()
    server: AbstractContextManager[PostgresServer | None] = (
        private_postgres() if postgres else nullcontext()
    )
    with server as running:
        for number, database in enumerate(_in_turn(running), 1):
            if time.monotonic() > end:
                break
            own = f"{seed}-{number}"
            schedule = drawn(own, FAULTS, SPACING, LEASE)
            plan = Plan(own, schedule, at_least=LEAST, at_most=MOST, lease=LEASE, passing=passing)
            outcome = play(plan, database)
            _deepen(passing, outcome)
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcome.document(), ensure_ascii=False) + "\n")
            _add(campaign, outcome, tell)
        _hunt(campaign, tell)
    return campaign


def _hunt(campaign: Campaign, tell: Tell) -> None:
    """Goes after the branches that were not taken, and a few times more for those that hide."""
    for number in range(HUNTS):
        for plan in hunts.plans(f"{campaign.seed}-{number}", campaign.never_taken):
            _add(campaign, play(plan, None), tell)


def _round(seed: str, campaign: Campaign, database: PostgresServer | None) -> Outcome:
    plan = Plan(
        seed,
        drawn(seed, FAULTS, SPACING, LEASE),
        at_least=LEAST,
        at_most=MOST,
        lease=LEASE,
        killed_before=frozenset(campaign.killed_at),
    )
    return play(plan, database)


def _add(campaign: Campaign, outcome: Outcome, tell: Tell) -> None:
    campaign.add(outcome)
    tell(outcome)


def _in_turn(server: PostgresServer | None) -> Iterator[PostgresServer | None]:
    while True:
        yield None
        yield server


def _deepen(passing: Counter[str], outcome: Outcome) -> None:
    """A point that killed kills later next time; one that did not, after its run ended, anew."""
    for name in outcome.traced:
        now = passing[name] or 1
        if outcome.killed_at[name]:
            later = [p for p in PASSINGS if p > now]
            passing[name] = later[0] if later else 1
        elif outcome.traced[name] < now:
            passing[name] = 1
