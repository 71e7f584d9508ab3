"""Measures: what is counted as reached, and what the line behind Redis must look like."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from redis import Redis

from battery.measures import demo, line
from battery.measures.__main__ import main
from battery.measures.figure import Figure, Measured, table
from battery.measures.installation import environment, killed_all, named
from battery.measures.line import Line, identity, moved, resource
from battery.measures.spread import Spread
from benchmarks import scenario
from benchmarks.gates import Gates
from deployengine.domain.admission import Claim, Mode, Request
from deployengine.locks import MachineLocks
from deployengine.services import LOCKS_PREFIX
from deployengine.settings import Settings

NAMES = ("take-over", "redis-lost", "database-away", "demo", "all")


# ---- arithmetic ----


def test_ranks_are_nearest_ranks() -> None:
    spread = Spread.of(float(n) for n in range(200, 0, -1))
    assert (spread.rank(50), spread.rank(99), spread.rank(100)) == (100, 198, 200)


def test_the_99th_percentile_of_fewer_than_a_hundred_is_the_longest() -> None:
    assert Spread.of([3, 1, 2]).document() == {"n": 3, "p50": 2, "p99": 3, "max": 3}


def test_one_sample_is_every_rank() -> None:
    assert Spread.of([7.0]).document() == {"n": 1, "p50": 7.0, "p99": 7.0, "max": 7.0}


# ---- what counts as reached ----


def test_a_figure_at_its_goal_is_within() -> None:
    assert Figure("x", 5, 5.0).within
    assert not Figure("x", 5, 5.001).within


def test_a_measure_is_reached_when_every_figure_is_within_and_nothing_was_harmed() -> None:
    within, beyond = Figure("fast", 5, 1), Figure("slow", 5, 6)
    assert Measured("m", [within]).reached
    assert not Measured("m", [within, beyond]).reached
    assert not Measured("m", [within], ["one was lost"]).reached


def test_a_harm_spoils_every_figure_of_its_measure_in_the_table() -> None:
    told = table([Measured("m", [Figure("fast", 5, 1)], ["run-1 ran twice"])])
    assert "| fast | ≤ 5 s | 1.00 s | **no** |" in told
    assert "- m: run-1 ran twice" in told


def test_the_table_has_a_line_for_each_figure_and_one_for_the_harms() -> None:
    told = table([Measured("m", [Figure("a", 5, 1), Figure("b", 5, 9)])]).splitlines()
    assert told[2:] == [
        "| a | ≤ 5 s | 1.00 s | yes |",
        "| b | ≤ 5 s | 9.00 s | **no** |",
        "| m: lost, failed, out of order or run twice | nothing | nothing | yes |",
    ]


def test_a_document_says_what_was_seen_and_can_be_printed() -> None:
    document = Measured("m", [Figure("a", 5, 1.23456)], [], {"n": 1}).document()
    assert json.loads(json.dumps(document)) == {
        "measure": "m",
        "reached": True,
        "figures": [{"figure": "a", "goal_s": 5, "seen_s": 1.235, "within": True}],
        "harms": [],
        "n": 1,
    }


# ---- the line ----


def request(number: int, *resources: str) -> Request:
    """Wants each of them alone."""
    claims = tuple(Claim(each, Mode.EXCLUSIVE) for each in resources)
    return Request(f"run-{number}", number, claims, f"run-{number}")


@pytest.fixture
def locks(redis_client: Redis) -> MachineLocks:
    """Two machines, each with a holder and two who wait."""
    locks = MachineLocks(redis_client, LOCKS_PREFIX)
    requests = [request(n, "a" if n % 2 else "b") for n in range(1, 7)]
    locks.rebuild(1, requests[:2], requests[2:])
    return locks


def test_the_line_is_read_in_the_order_of_each_resource(
    locks: MachineLocks, redis_client: Redis
) -> None:
    found = Line.read(redis_client)
    assert found.waiting() == ["run-3", "run-5", "run-4", "run-6"]
    assert [(resource(h), identity(h)) for h in found.holders] == [("a", "run-1"), ("b", "run-2")]
    assert found.exclusive_waiters == found.waiters


def test_a_hand_on_to_the_next_in_line_is_lawful(locks: MachineLocks, redis_client: Redis) -> None:
    before = Line.read(redis_client)
    locks.release(1, ["run-1"])
    assert moved(before, Line.read(redis_client), ["a"]) == []


def test_a_rebuild_from_the_truth_changes_nothing(locks: MachineLocks, redis_client: Redis) -> None:
    before = Line.read(redis_client)
    redis_client.flushall()
    requests = [request(n, "a" if n % 2 else "b") for n in range(1, 7)]
    locks.rebuild(2, requests[:2], requests[:1:-1])
    assert moved(before, Line.read(redis_client), []) == []


def test_one_who_is_lost_is_told(locks: MachineLocks, redis_client: Redis) -> None:
    before = Line.read(redis_client)
    locks.release(1, ["run-5"])
    told = moved(before, Line.read(redis_client), [])
    assert told[0] == "waiters: 1 lost, 0 that should not be there: run-5 …"


def test_one_who_is_overtaken_is_told() -> None:
    def member(ticket: int) -> str:
        return f"a\0{ticket:016}\0x\0run-{ticket}"

    before = Line(["a\0x\0run-1"], [member(2), member(3)], [member(2), member(3)])
    after = Line(["a\0x\0run-3"], [member(2)], [member(2)])
    told = moved(before, after, ["a"])
    assert told[0] == "handed on to ['run-3'] and not to the next in line, ['run-2']"


def test_an_order_that_has_changed_is_told() -> None:
    before = Line([], ["a\0x\0run-1", "a\0x\0run-2"], [])
    after = Line([], ["a\0x\0run-2", "a\0x\0run-1"], [])
    assert moved(before, after, []) == ["waiters: all there, in another order"]


def test_a_holder_that_has_ended_may_be_gone_and_another_may_not() -> None:
    before = Line(["tag\0x\0dep-1", "tug\0x\0dep-2"], [], [])
    after = Line(["tug\0x\0dep-2"], [], [])
    assert moved(before, after, [], {"dep-1"}) == []
    assert moved(before, after, []) == [
        "holders: 1 lost, 0 that should not be there: dep-1 …",
    ]


def test_the_names_of_the_keys_are_the_engines_own(
    locks: MachineLocks, redis_client: Redis
) -> None:
    assert redis_client.hlen(line.KEYS.requests) == 6
    assert redis_client.get(line.KEYS.generation)


# ---- the demo ----


def test_a_demo_with_fifty_successes_and_all_faults_is_well() -> None:
    assert demo.harms_of(0, {"counts": {"succeeded": 50}}, 0, 0) == []


@pytest.mark.parametrize(
    ("code", "counts", "kills", "wipes", "told"),
    [
        (1, {"succeeded": 50}, 0, 0, "ended with 1"),
        (0, {"succeeded": 49, "failed": 1}, 0, 0, "not 50 successes"),
        (0, {}, 0, 0, "not 50 successes"),
        (0, {"succeeded": 50}, 2, 0, "2 kills and 0 wipes to come"),
        (0, {"succeeded": 50}, 0, 1, "0 kills and 1 wipes to come"),
    ],
)
def test_a_demo_that_is_not_as_promised_is_told(
    code: int, counts: dict[str, int], kills: int, wipes: int, told: str
) -> None:
    (harm,) = demo.harms_of(code, {"counts": counts}, kills, wipes)
    assert told in harm


# ---- gates and processes ----


def test_a_gate_lets_nobody_go_where_nobody_waits(tmp_path: Path) -> None:
    gates = Gates(["m-1"])
    gates.furnish(tmp_path)
    assert not gates.open("m-1")
    reader = os.open(tmp_path / "machines" / "m-1" / scenario.GATE, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert gates.open("m-1")
        assert os.read(reader, 10) == b"\n"
    finally:
        os.close(reader)


def test_begins_are_counted_in_the_machines_own_journals(tmp_path: Path) -> None:
    gates = Gates(["m-1", "m-2"])
    gates.furnish(tmp_path)
    assert gates.all_begun() == 0
    (tmp_path / "machines" / "m-2" / "journal").write_text("begin run-1\nend run-1\nbegin run-2\n")
    assert (gates.begun("m-2"), gates.all_begun()) == (2, 2)


def test_a_process_of_the_engine_gets_these_settings_and_no_other_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYENGINE_TASK_CAP", "99")
    given = environment(Settings(tmp_path, lease=2.5))
    assert Settings.read(given, tmp_path).lease == 2.5
    assert Settings.read(given, tmp_path).home == tmp_path
    assert "DEPLOYENGINE_TASK_CAP" not in given


def test_whatever_names_the_home_is_killed_at_the_end(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with killed_all(home):
        child = os.spawnve(
            os.P_NOWAIT,
            sys.executable,
            [sys.executable, "-c", "import time; time.sleep(600)"],
            {"HOME_OF_THE_ENGINE": str(home)},
        )
        while child not in named(home):
            pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


# ---- the commands ----


@pytest.mark.parametrize("name", NAMES)
def test_every_measure_says_how_it_is_asked_for(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"Example:  python -m battery.measures {name}" in said
    assert "--json" in said
