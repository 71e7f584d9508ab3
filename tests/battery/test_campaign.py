"""Campaigns: what counts, and what is complained of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from battery import hunts, report, rounds
from battery.campaign import MOUNTED, Campaign
from battery.round import Outcome
from battery.schedule import ACTS, KINDS
from deployengine import failpoints

FAULTS = {kind.kind: 4 for kind, _ in KINDS if not kind.lawful}
TRACED = Counter({**dict.fromkeys(failpoints.POINTS, 1), **dict.fromkeys(failpoints.BRANCHES, 1)})
KILLED = Counter(dict.fromkeys(failpoints.POINTS, 1))


def outcome(
    database: str = "sqlite",
    faults: Mapping[str, int] = FAULTS,
    impossible: Mapping[str, str] | None = None,
    traced: Counter[str] = TRACED,
    killed_at: Counter[str] = KILLED,
) -> Outcome:
    """A round in which everything was reached and nothing broken, but for what is said."""
    return Outcome(
        seed="1",
        database=database,
        seconds=10.0,
        seconds_to_rest=1.0,
        releases=5,
        faults=dict(faults),
        acts=dict.fromkeys(ACTS, 1),
        impossible=dict(impossible or {}),
        traced=traced,
        killed_at=killed_at,
        violations=(),
    )


def campaign(*outcomes: Outcome) -> Campaign:
    made = Campaign("1")
    for each in outcomes:
        made.add(each)
    return made


def said_of(made: Campaign) -> str:
    return report.text(made, made.complaints(0))


def test_a_campaign_that_reached_everything_is_not_complained_of() -> None:
    assert campaign(outcome()).complaints(100) == []


def test_acts_of_people_are_told_apart_and_do_not_count() -> None:
    made = campaign(outcome())

    assert made.injected == sum(FAULTS.values())
    assert made.document()["acts"] == dict.fromkeys(sorted(ACTS), 1)


def test_what_people_and_supervisors_lawfully_do_is_an_act() -> None:
    assert {
        "deployment cancelled",
        "batch cancelled",
        "deployed again by hand",
        "deployed by hand at a time",
        "deployment moved to the top",
        "deployment given another priority",
        "release blocked",
        "catalog applied again",
        "schedule changed",
        "master key changed",
        "machine drained",
        "worker told to end",
    } == ACTS


def test_a_kind_that_never_had_its_turn_is_complained_of() -> None:
    rest = {kind: n for kind, n in FAULTS.items() if kind != "messages reordered"}
    made = campaign(outcome(faults=rest))

    assert made.complaints(0) == ["1 kinds were not injected: messages reordered"]
    assert made.unfinished


def test_disks_that_may_not_be_mounted_are_told_loudly_and_complained_of_where_it_matters() -> None:
    rest = {kind: n for kind, n in FAULTS.items() if kind not in MOUNTED}
    made = campaign(outcome(faults=rest, impossible=dict.fromkeys(MOUNTED, "no mounting here")))

    assert made.complaints(0, mounts=False) == []
    assert "2 kinds were not injected" in made.complaints(0)[0]
    assert "NOTHING IS PROVEN OF A DISK FULL UNDER TICKETS" in report.text(made, [])


def test_a_disk_that_never_had_its_turn_is_complained_of_everywhere() -> None:
    rest = {kind: n for kind, n in FAULTS.items() if kind not in MOUNTED}

    assert "2 kinds" in campaign(outcome(faults=rest)).complaints(0, mounts=False)[0]


def test_who_was_killed_where_is_told_for_each_database() -> None:
    half = Counter(dict.fromkeys(failpoints.POINTS[::2], 1))
    made = campaign(outcome(), outcome("postgresql", killed_at=half))

    whole = len(failpoints.POINTS)
    assert f"killed at: {whole} of {whole} (sqlite {whole}, postgresql {len(half)})" in said_of(
        made
    )


def test_a_branch_that_was_reached_only_with_a_guard_left_out_is_marked() -> None:
    guarded = Counter(TRACED)
    del guarded["branch.stale-fence"]
    made = campaign(outcome(traced=guarded))
    made.add(outcome(), ["revoked", "self-fence"])

    assert made.only_without == {"branch.stale-fence": ["revoked", "self-fence"]}
    assert "branch.stale-fence (only with revoked, self-fence left out)" in said_of(made)
    assert made.complaints(0) == []


def test_nothing_is_hunted_when_the_time_is_over_and_that_is_complained_of() -> None:
    made = campaign(outcome(traced=Counter(failpoints.POINTS)))

    rounds.hunt(made, lambda _: None, time.monotonic() + 1, "1")

    assert made.rounds == 1
    assert made.complaints(0)[-1] == "the time was over"


def test_what_was_caught_meanwhile_is_not_hunted_any_more() -> None:
    missing = ["branch.revoked", "branch.claim-conflict"]
    found = []
    for plan in hunts.plans("1", lambda: missing):
        found.append(plan.seed)
        missing.clear()

    assert found == ["1-hunt-1"]
