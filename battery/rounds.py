"""Series of rounds: the short one for CI, the long soak."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from battery import hunts
from battery.campaign import Campaign
from battery.needs import projects
from battery.round import Outcome, Plan, play
from battery.schedule import drawn
from tests.support.postgres import PostgresServer, private_postgres

LEASE = 1.5
#: Faults of a round's schedule, and seconds between two; failpoints come on top.
FAULTS, SPACING = 40, 0.7
#: Seconds of fire in a round.
LEAST, MOST = 20.0, 60.0
#: The same in a round for the failpoints that are left, in which nothing else is in their way.
POINTS_LEAST, POINTS_MOST = 2.0, 30.0
#: How often what hides is hunted for at the end of the soak.
HUNTS = 3
#: Seconds that a round takes beside its fire, and a hunt from its begin to its end, on a machine
#: that has other things to do. Neither is begun when less is left.
AFTER_FIRE, A_HUNT = 35.0, 40.0
#: The passings at which a failpoint kills, in the soak: one after the other, until a process has
#: ended unkilled.
PASSINGS = (1, 2, 3, 5, 8, 13, 21)

#: Told of a round, and of the failpoints that have killed nobody yet.
Tell = Callable[[Outcome, Sequence[str]], None]


def ci(seed: str, seconds: float, tell: Tell) -> Campaign:
    """Both databases in turn until every failpoint has killed, at most so many seconds."""
    campaign, end = Campaign(seed), time.monotonic() + seconds
    with private_postgres() as server:
        for number, database in enumerate(_in_turn(server), 1):
            fire = min(MOST, end - time.monotonic() - AFTER_FIRE)
            if number > 2 and (fire < LEAST or not (campaign.unfinished or campaign.never_taken)):
                break
            if number <= 2 or campaign.unfinished:
                _add(campaign, _round(f"{seed}-{number}", campaign, database, fire), tell)
            if number >= 2:
                hunt(campaign, tell, end, f"{seed}-{number}")
    campaign.out_of_time |= campaign.unfinished
    return campaign


def soak(seed: str, minutes: float, record: Path, tell: Tell) -> Campaign:
    """Rounds with new seeds until the time is over; each leaves a line in the record."""
    campaign, end = Campaign(seed), time.monotonic() + 60 * minutes
    passing: Counter[str] = Counter()
    with private_postgres() as server:
        for number, database in enumerate(_in_turn(server), 1):
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
        for again in range(HUNTS):
            hunt(campaign, tell, math.inf, f"{seed}-{again}")
    return campaign


def hunt(campaign: Campaign, tell: Tell, end: float, seed: str) -> None:
    """Goes once after each of the branches that were not taken."""
    for plan in hunts.plans(seed, lambda: campaign.never_taken):
        if time.monotonic() + A_HUNT > end:
            campaign.out_of_time = True
            return
        _add(campaign, play(plan, None), tell, plan.mutations)


def _round(
    seed: str, campaign: Campaign, database: PostgresServer | None, at_most: float
) -> Outcome:
    everything = campaign.rounds < 2 or campaign.waiting
    plan = Plan(
        seed,
        drawn(seed, FAULTS, SPACING, LEASE) if everything else (),
        at_least=LEAST if everything else POINTS_LEAST,
        at_most=at_most if everything else min(at_most, POINTS_MOST),
        lease=LEASE,
        killed_before=frozenset(campaign.killed_at),
        kills_only=not everything,
        projects=() if everything else projects(campaign.never_killed),
    )
    return play(plan, database)


def _add(campaign: Campaign, outcome: Outcome, tell: Tell, without: Sequence[str] = ()) -> None:
    campaign.add(outcome, without)
    tell(outcome, campaign.never_killed)


def _in_turn(server: PostgresServer) -> Iterator[PostgresServer | None]:
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
