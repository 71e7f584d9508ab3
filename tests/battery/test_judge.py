"""The judge of the battery: it lets a lawful house pass and finds every breach by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from battery.leftovers import left_in
from battery.redis_server import RedisServer
from battery.scenario import SECRET, STAGES
from tests.battery.battlefield import Battlefield
from tests.test_journal import START


@pytest.fixture
def field(tmp_path: Path) -> Battlefield:
    return Battlefield(tmp_path)


def test_a_lawful_house_passes(field: Battlefield) -> None:
    assert field.found() == set()


def test_a_release_that_was_accepted_and_is_not_there_is_lost(field: Battlefield) -> None:
    field.given.add(("app-2", "1.0"))

    assert field.found() == {"lost"}


def test_a_release_that_stops_half_way_is_lost(field: Battlefield) -> None:
    for table in ("step_run", "step"):
        field.sql(f"delete from {table} where deployment_id = 3")
    field.sql("delete from deployment where id = 3")
    for machine in STAGES["Production"]:
        (field.home / "machines" / machine / "journal").unlink()
    field.sql("delete from run_output where run_id > 3")

    assert field.found() == {"lost"}


def test_what_is_open_at_the_end_is_stuck(field: Battlefield) -> None:
    field.sql("update deployment set state = 'running' where id = 3")

    assert "stuck" in field.found()


def test_a_failure_that_nothing_explains_is_told(field: Battlefield) -> None:
    field.sql("update step_run set state = 'failed', exit_code = 1 where id = 8")
    field.sql("update deployment set state = 'failed' where id = 3")

    assert field.found() == {"unexplained end"}


def test_a_script_that_the_battery_has_killed_may_end_as_unknown(field: Battlefield) -> None:
    field.sql("update step_run set state = 'unknown', exit_code = null where id = 8")
    field.sql("update deployment set state = 'failed' where id = 3")
    field.ledger.note("wrapper and script killed", "run-8")

    assert field.found() == set()


def test_a_run_fails_lawfully_on_a_machine_that_was_out_of_use_and_says_so(
    field: Battlefield,
) -> None:
    field.journal("prod-1").unlink()
    field.sql("delete from run_output where run_id = 4")
    for stamp in (field.home / "machines" / "prod-1" / "stamps").glob("*"):
        stamp.unlink()
    field.end(4, "failed", message="work folder /w can't be used (no folder)")
    before = field.found()
    field.fault("machine out of use", "prod-1", 30)

    assert (before, field.found()) == ({"unexplained end"}, set())


@pytest.mark.parametrize(
    ("project", "broken"), [("lenient", set()), ("app-1", {"unexplained end"})]
)
def test_only_the_lenient_succeed_without_a_machine(
    tmp_path: Path, project: str, broken: set[str]
) -> None:
    field = Battlefield(tmp_path, project)
    field.journal("prod-1").unlink()
    field.sql("delete from run_output where run_id = 4")
    for stamp in (field.home / "machines" / "prod-1" / "stamps").glob("*"):
        stamp.unlink()
    left_out = "state = 'skipped', exit_code = null, started_at = null, answer = 'exclude'"
    field.sql(f"update step_run set {left_out} where id = 4")

    assert field.found() == broken


def test_a_success_without_an_end_in_the_journal_is_false(field: Battlefield) -> None:
    lines = field.lines("prod-5")
    field.journal("prod-5").write_text(lines[0] + "\n" + lines[1].replace("end", "killed") + "\n")

    assert field.found() == {"false success"}


def test_a_script_that_was_told_to_end_has_ended(field: Battlefield) -> None:
    lines = field.lines("prod-5")
    field.journal("prod-5").write_text(lines[0] + "\n" + lines[1].replace("end", "stopped") + "\n")
    field.sql("update step_run set state = 'cancelled', exit_code = 143 where id = 8")
    field.sql("update deployment set state = 'cancelled' where id = 3")
    field.cancelled.add(3)

    assert field.found() == set()


@pytest.mark.parametrize("code", [143, 137])
def test_only_a_cancel_explains_the_code_of_a_script_that_was_told_to_end(
    field: Battlefield, code: int
) -> None:
    lines = field.lines("prod-5")
    field.journal("prod-5").write_text(lines[0] + "\n" + lines[1].replace("end", "stopped") + "\n")
    field.end(8, "failed", code)
    before = field.found()
    field.sql("update deployment set state = 'cancelled' where id = 3")
    field.cancelled.add(3)

    assert (before, field.found()) == ({"unexplained end"}, set())


@pytest.mark.parametrize(
    ("message", "broken"),
    [
        ("127.0.0.1:22 cannot be reached: refused", set()),
        ("machine prod-1: the connection broke before it answered", set()),
        ("it lost heart", {"unexplained end"}),
    ],
)
def test_a_run_fails_lawfully_on_a_machine_that_was_out_of_reach_and_says_so(
    field: Battlefield, message: str, broken: set[str]
) -> None:
    field.journal("prod-1").unlink()
    field.sql("delete from run_output where run_id = 4")
    for stamp in (field.home / "machines" / "prod-1" / "stamps").glob("*"):
        stamp.unlink()
    field.end(4, "failed", message=message)
    before = field.found()
    field.fault("SSH refused", "prod-1", 30)

    assert (before, field.found()) == ({"unexplained end"}, broken)


def test_a_machine_out_of_reach_explains_no_failure_of_a_script_that_ran(
    field: Battlefield,
) -> None:
    field.end(4, "failed", message="127.0.0.1:22 cannot be reached: refused")
    field.fault("SSH refused", "prod-1", 30)

    assert field.found() == {"unexplained end"}


@pytest.mark.parametrize(("at", "broken"), [(30, set()), (300, {"false alarm"})])
def test_only_a_full_disk_lets_a_run_say_that_its_output_may_not_be_whole(
    field: Battlefield, at: float, broken: set[str]
) -> None:
    field.end(8, "succeeded", 0, "the disk of the machine's tickets was full when it ended")
    field.fault("disk full under tickets", "prod-5", at)

    assert field.found() == broken


def test_a_line_that_is_missing_in_the_output_is_found(field: Battlefield) -> None:
    field.sql("update run_output set text = replace(text, 'line 1 of run-1\n', '') where run_id=1")

    assert field.found() == {"output"}


def test_a_line_that_stands_twice_in_the_output_is_found(field: Battlefield) -> None:
    field.output(1, "end of run-1 after 2\n", start=5)

    assert field.found() == {"output"}


def test_two_at_once_in_a_resource_of_all_machines_are_found(field: Battlefield) -> None:
    field.claims(2, ("resource:billing", "exclusive", None))

    assert field.found() == {"resource"}


def test_more_than_may_share_a_machine_are_found(field: Battlefield) -> None:
    field.claims(2, ("machine:both", "shared", 1))

    assert field.found() == {"limit"}


def test_a_release_that_was_promoted_without_a_success_is_found(field: Battlefield) -> None:
    field.sql("update deployment set state = 'cancelled' where id = 2")
    field.cancelled.add(2)

    assert field.found() == {"promoted early"}


def test_a_secret_in_a_log_is_found(field: Battlefield) -> None:
    field.log("worker-1.log", f"it is {SECRET}\n")

    assert field.found() == {"secret"}


def test_a_secret_in_the_database_is_found(field: Battlefield) -> None:
    field.sql("update deployment set message = ? where id = 1", SECRET)

    assert field.found() == {"secret"}


TRACEBACK = """\
Traceback (most recent call last):
  File "redis/connection.py", line 1, in read
redis.exceptions.ConnectionError: Connection closed by server.
"""


def test_a_traceback_that_nobody_expected_is_found(field: Battlefield) -> None:
    field.log("worker-1.log", TRACEBACK)

    assert field.found() == {"traceback"}


def test_a_traceback_is_explained_by_a_fault_of_redis(field: Battlefield) -> None:
    field.log("worker-1.log", TRACEBACK)
    field.ledger.note("Redis FLUSHALL")

    assert field.found() == set()


def test_what_happened_without_anybodys_doing_is_told(field: Battlefield) -> None:
    field.ledger.surprises.append("worker-1 ended with 1")

    assert field.found() == {"surprise"}


@pytest.fixture
def asking(tmp_path: Path) -> Battlefield:
    """Of the project whose runs ask how they ended; one has lost its wrapper, and asks."""
    field = Battlefield(tmp_path, "ask")
    field.end(8, "unknown")
    field.ledger.note("wrapper killed", "run-8")
    return field


def test_a_person_may_say_that_a_run_succeeded_which_asked(asking: Battlefield) -> None:
    asking.end(8, "succeeded")
    asking.answer(8, "succeeded")

    assert asking.found() == set()


@pytest.mark.parametrize("answer", ["failed", "rerun", None])
def test_a_success_that_nobody_answered_is_false(asking: Battlefield, answer: str | None) -> None:
    asking.end(8, "succeeded")
    if answer is not None:
        asking.answer(8, answer)

    assert asking.found() == {"false success"}


def test_a_success_without_exit_code_is_false_though_wrappers_died(field: Battlefield) -> None:
    field.end(8, "succeeded")
    field.ledger.note("wrapper killed", "run-8")
    field.death("ticket.exit.before", at=31)
    field.answer(8, "succeeded")

    assert field.found() == {"false success"}


def test_an_attempt_after_a_success_is_unlawful(field: Battlefield) -> None:
    field.again(9, attempt=2, at=40)

    assert field.found() == {"attempts"}


def test_a_run_whose_end_is_unknown_is_not_begun_again_unasked(field: Battlefield) -> None:
    field.end(8, "unknown")
    field.ledger.note("wrapper killed", "run-8")
    field.again(9, attempt=2, at=40)
    field.sql("update deployment set state = 'succeeded' where id = 3")

    assert field.found() == {"attempts"}


@pytest.mark.parametrize(("answer", "broken"), [("rerun", set()), ("failed", {"attempts"})])
def test_a_run_that_asks_is_begun_again_if_the_answer_is_so(
    asking: Battlefield, answer: str, broken: set[str]
) -> None:
    asking.answer(8, answer)
    asking.again(9, attempt=2, at=40)
    asking.sql("update deployment set state = 'succeeded' where id = 3")

    assert asking.found() == broken


def test_more_attempts_than_retries_are_unlawful(tmp_path: Path) -> None:
    field = Battlefield(tmp_path, "iis-2")  # retries: 1
    for run, attempt in ((9, 2), (10, 3)):
        field.again(run, attempt, at=40.0 + 10 * attempt)
        field.end(run - 1, "failed", None, "its shell was killed")
        field.ledger.note("wrapper killed", f"run-{run - 1}")
    field.sql("update deployment set state = 'succeeded' where id = 3")

    assert field.found() == {"attempts"}


def test_a_step_that_begins_before_the_earlier_one_has_ended_is_found(tmp_path: Path) -> None:
    field = Battlefield(tmp_path, "twin-1")
    runs = [{"machine": {"name": name}, "claims": []} for name in STAGES["QA"]]
    steps = [{"name": name, "runs": runs} for name in ("Install", "More")]
    plan = json.dumps({"tag": "", "steps": steps})
    field.sql("update deployment set plan = ? where id = 1", plan)
    field.sql("insert into step values (1, 1, 'More', 'done', 0, null)")
    field.run(9, 2, "qa-1", at=10.5, mode="shared")
    field.sql("update step_run set deployment_id = 1, step = 1 where id = 9")
    field.sql("update step_run set lock_mode = 'shared' where id = 1")
    words = "run-9 twin-1 1.0 QA More 1"
    lines = field.lines("qa-1")[:2]
    field.journal("qa-1").unlink()
    field.write("qa-1", lines[0], f"begin {words}", lines[1], f"end {words}")
    field.print(9, "qa-1")

    assert field.found() == {"step order"}


@pytest.mark.parametrize(("at", "broken"), [(25, set()), (300, {"unexplained end"})])
def test_a_full_disk_explains_a_failure_at_its_time_alone(
    field: Battlefield, at: float, broken: set[str]
) -> None:
    field.end(7, "failed", 97)
    field.sql("delete from run_output where run_id = 7")
    field.fault("disk full under a work folder", "prod-4", at)

    assert field.found() == broken


def test_what_a_script_without_room_prints_is_what_its_shell_says(field: Battlefield) -> None:
    field.end(7, "failed", 97)
    field.fault("disk full under a work folder", "prod-4", at=30)
    field.sql("update run_output set text = 'script: 21: echo: echo: I/O error\n' where run_id = 7")
    field.sql("update run_output set stop = length(text) where run_id = 7")
    assert field.found() == set()

    field.sql("update run_output set text = 'rubbish\n', stop = 8 where run_id = 7")
    assert field.found() == {"output"}


@pytest.mark.parametrize(("at", "broken"), [(30, set()), (300, {"output"})])
def test_a_script_without_room_may_be_killed_before_it_says_so(
    field: Battlefield, at: float, broken: set[str]
) -> None:
    field.end(8, "unknown")
    field.death("ticket.exit.before", at=31)
    field.fault("disk full under a work folder", "prod-5", at)
    field.sql("update run_output set text = 'script: 24: echo: echo: I/O error\n' where run_id = 8")
    field.sql("update run_output set stop = length(text) where run_id = 8")

    assert field.found() == broken


@pytest.mark.parametrize(("at", "broken"), [(28, set()), (300, {"output"})])
def test_full_tickets_explain_a_gap_in_the_output_at_their_time_alone(
    field: Battlefield, at: float, broken: set[str]
) -> None:
    field.sql("update run_output set text = replace(text, 'line 1 of run-8\n', '') where run_id=8")
    field.fault("disk full under tickets", "prod-5", at)

    assert field.found() == broken


@pytest.mark.parametrize(
    ("point", "at", "broken"),
    [
        ("ticket.exit.before", 31, set()),
        ("ticket.exit.before", 200, {"unexplained end"}),
        ("ticket.exit.after", 31, {"unexplained end"}),
        ("ticket.state.before", 31, {"unexplained end"}),
        ("ticket.state.after", 31, {"unexplained end"}),
    ],
)
def test_a_wrapper_that_died_explains_an_unknown_end_if_it_can_be_that_runs(
    field: Battlefield, point: str, at: float, broken: set[str]
) -> None:
    field.end(8, "unknown")
    field.death(point, at)

    assert field.found() == broken


@pytest.mark.parametrize(("until", "broken"), [(50, set()), (5, {"unexplained end"})])
def test_a_wrapper_that_outlived_its_worker_died_before_its_traces_last_line(
    field: Battlefield, until: int, broken: set[str]
) -> None:
    field.end(8, "unknown")
    field.death("ticket.exit.before", at=31)
    field.ledger.faults.clear()
    os.utime(field.home / "traces" / "worker-1.1", (START + until, START + until))

    assert field.found() == broken


def test_of_two_deaths_that_nobody_saw_the_earlier_one_explains_the_earlier_end(
    field: Battlefield,
) -> None:
    field.move(8, 100)
    field.end(7, "unknown")
    field.end(8, "unknown")
    field.unseen_death("ticket.exit.before", "worker-1.1", last=120)
    field.unseen_death("ticket.exit.before", "worker-1.2", last=50)

    assert field.found() == set()


def test_one_wrapper_that_died_explains_one_end(field: Battlefield) -> None:
    field.end(7, "unknown")
    field.end(8, "unknown")
    field.death("ticket.exit.before", at=31)

    assert field.found() == {"unexplained end"}


def test_a_deployment_whose_last_attempts_succeeded_has_no_reason_to_fail(tmp_path: Path) -> None:
    field = Battlefield(tmp_path, "rerun")
    field.end(8, "unknown")
    field.ledger.note("wrapper killed", "run-8")
    field.again(9, attempt=2, at=40)

    assert field.found() == {"unexplained end"}


def test_a_deployment_that_was_cancelled_in_time_must_end_so(field: Battlefield) -> None:
    field.sql("update deployment set finished_at = '2027-01-15 08:00:31' where id = 3")
    field.request("deployment", "cancel", "dep-3", at=40)
    assert field.found() == set()

    field.request("deployment", "cancel", "dep-3", at=20)
    assert field.found() == {"request"}


def test_a_deployment_by_hand_that_was_granted_is_there(field: Battlefield) -> None:
    field.request("release", "deploy", "app-1", "1.0", "QA", at=50)

    assert field.found() == {"request"}


def test_a_deployment_by_hand_that_was_cancelled_does_not_excuse_a_lost_release(
    field: Battlefield,
) -> None:
    test_a_release_that_stops_half_way_is_lost(field)
    field.sql(
        "insert into deployment (id, release_id, snapshot_id, project, version, environment, phase,"
        " automatic, state, ticket, tag, plan, created_at) select 9, release_id, snapshot_id,"
        " project, version, environment, phase, 0, 'cancelled', 2000, tag,"
        ' \'{"tag": "", "steps": []}\', created_at from deployment where id = 1'
    )
    field.cancelled.add(9)

    assert field.found() == {"lost"}


@pytest.mark.parametrize(
    "path", ["traces/worker-1.1", "tickets/qa-1/run-1/environment", "tickets/qa-1/odd"]
)
def test_a_secret_in_any_file_that_stays_is_found(field: Battlefield, path: str) -> None:
    file = field.home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"it is {SECRET}\n")

    assert field.found() == {"secret"}


def record(at: float, error: str) -> str:
    """A record of the log with a traceback."""
    # In the zone of whoever writes logs, as the engine does.
    written = datetime.fromtimestamp(START + at).isoformat(" ", "seconds")  # noqa: DTZ006
    head = "Traceback (most recent call last):"
    return f"{written},000 ERROR engine: went wrong\n{head}\n  File\n{error}\n"


def test_a_fault_of_redis_explains_a_traceback_at_its_time_alone(field: Battlefield) -> None:
    field.fault("Redis FLUSHALL", "", at=30)
    field.log("worker-1.log", record(32, "redis.exceptions.ConnectionError: Connection closed"))
    assert field.found() == set()

    field.log("worker-1.log", record(300, "redis.exceptions.ConnectionError: Connection closed"))
    assert field.found() == {"traceback"}


@pytest.mark.parametrize(
    "error",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: '/tickets/run-1/script'",
        "redis.exceptions.ResponseError: WRONGTYPE Operation against a key",
        "TimeoutError: the script took too long",
        "struct.error: unpack requires a buffer of 8 bytes",
    ],
)
def test_an_error_that_is_not_of_redis_is_not_explained_by_its_faults(
    field: Battlefield, error: str
) -> None:
    field.fault("Redis FLUSHALL", "", at=30)
    field.log("worker-1.log", record(31, error))

    assert field.found() == {"traceback"}


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "engine.py", line 1, in go
  | ExceptionGroup: two of them (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "engine.py", line 2, in go
    | ValueError: no
    +------------------------------------
"""


def test_a_group_of_errors_is_found(field: Battlefield) -> None:
    field.log("worker-1.log", GROUP)

    assert field.found() == {"traceback"}


def test_whatever_is_left_of_the_locks_in_redis_is_found_and_a_secret_anywhere(
    tmp_path: Path,
) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        with server.client() as client:
            client.set("{deployengine:locks}:generation", "1@here")
            client.hset("{deployengine:locks}:beats", "worker-1", "7")
            client.lpush("deployengine:queue:runs", "a message")
            assert list(left_in(client)) == []

            client.zadd("{deployengine:locks}:of a new kind", {"run-1": 1})
            client.lpush("deployengine:queue:runs", f"it is {SECRET}")
            assert {violation.rule for violation in left_in(client)} == {"leftover", "secret"}
    finally:
        server.stop()


def test_the_judge_shares_no_code_with_the_engine() -> None:
    program = (
        "import sys, battery.judge, battery.leftovers\n"
        "print(*(m for m in sys.modules if m.split('.')[0] in ('deployengine', 'workers')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == []
