"""Failpoints are handed out until each had its turn."""

from __future__ import annotations

import random
from pathlib import Path

from battery.armoury import BAITS, COMMANDS, RARE, Armoury, traced
from battery.needs import FAULTS, PROJECTS, projects
from battery.scenario import LENIENT, PATIENT, project_names
from deployengine import failpoints


def names(arms: object) -> set[str]:
    assert isinstance(arms, (list, tuple))
    return {arm.partition("=")[0] for arm in arms}


def test_the_same_dice_arm_alike(tmp_path: Path) -> None:
    one, other = (Armoury(random.Random(3), tmp_path) for _ in range(2))

    for _ in range(10):
        assert one.arms("worker-1") == other.arms("worker-1")


def test_what_has_killed_is_handed_out_no_more(tmp_path: Path) -> None:
    armoury = Armoury(random.Random(3), tmp_path)
    armoury.killed(name for name in failpoints.POINTS if name != "sql.end.before")

    kills = [arm for _ in range(40) for arm in armoury.arms("worker-1") if "=kill" in arm]

    assert names(kills) == {"sql.end.before"}


def test_a_worker_gets_no_point_that_only_housekeeping_was_seen_to_pass(tmp_path: Path) -> None:
    (tmp_path / "housekeeping-1.1").write_text("sql.open.before\n")
    armoury = Armoury(random.Random(3), tmp_path)

    kills = {arm for _ in range(40) for arm in armoury.arms("worker-1") if "=kill" in arm}

    assert "sql.open.before" not in names(list(kills))
    assert "sql.end.before" in names(list(kills))


def test_who_has_no_point_left_is_armed_less_often(tmp_path: Path) -> None:
    (tmp_path / "housekeeping-1.1").write_text("sql.open.before\n")
    armoury = Armoury(random.Random(3), tmp_path)
    armoury.killed(name for name in failpoints.POINTS if name != "sql.open.before")

    worker, housekeeping = (
        sum(bool(armoury.arms(name)) for _ in range(200)) for name in ("worker-1", "housekeeping-1")
    )

    assert 0 < worker < 0.7 * housekeeping


def test_a_second_worker_dies_where_the_first_one_then_passes_what_is_left(tmp_path: Path) -> None:
    armoury = Armoury(random.Random(3), tmp_path)
    armoury.killed(name for name in failpoints.POINTS if name != "sql.put-back.after")

    baits = [armoury.arms("worker-2") for _ in range(10)]
    kills = [arm for _ in range(40) for arm in armoury.arms("worker-1") if "=kill" in arm]

    assert all(names(arms) == {"ticket.start.before"} for arms in baits)
    assert names(kills) == {"sql.put-back.after"}


def test_nobody_is_armed_when_it_is_closed(tmp_path: Path) -> None:
    armoury = Armoury(random.Random(3), tmp_path)
    armoury.open = False

    assert [armoury.arms("worker-1"), armoury.arms("command-1")] == [(), ()]


def test_traces_of_all_processes_are_counted_together(tmp_path: Path) -> None:
    (tmp_path / "worker-1.1").write_text("sql.end.before\nkill sql.end.before\n")
    (tmp_path / "worker-2.1").write_text("sql.end.before\nbranch.attach\n")

    assert traced(tmp_path) == {"sql.end.before": 2, "branch.attach": 1}


def test_every_door_that_is_named_is_one_of_the_engine() -> None:
    assert {*COMMANDS, *RARE, *BAITS, *FAULTS, *PROJECTS} <= set(failpoints.DOORS)
    assert {*PROJECTS.values()} <= {*project_names()}


def test_points_behind_some_projects_alone_are_looked_for_with_these() -> None:
    assert projects(["sql.aside.after"]) == (PATIENT,)
    assert projects(["sql.aside.after", "sql.catch-up.before"]) == (LENIENT, PATIENT)
    assert projects(["sql.aside.after", "sql.due.after"]) == ()
