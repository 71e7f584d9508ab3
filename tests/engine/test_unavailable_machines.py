"""Runs whose machine cannot be used: they fail, leave it out or wait, as their project says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import RunState
from deployengine.engine.reception import unavailable
from deployengine.engine.releases import Wanted
from deployengine.engine.roster import NotEnabled
from deployengine.engine.waits import Reason
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.engine.test_again import MANUAL
from tests.engine.test_stages import rolling, states
from tests.support.fakes import away
from tests.support.machines import NetworkedHouse

SAID = 'echo "$DEPLOYENGINE_STEP" >> ran\n'
TWO = [machine("web-[1:2]", "QA")]


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[NetworkedHouse]:
    """An engine whose machines come and go."""
    with NetworkedHouse(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        yield house


def deployed(
    house: NetworkedHouse, policy: str | None, *process: dict[str, Any], **more: Any
) -> int:
    """A deployment of a project with this policy to two machines, carried as far as it goes."""
    house.apply(catalog(app(policy, *process, **more), machines=TWO))
    number = house.create("app").id
    house.deliver_all()
    return number


def app(policy: str | None, *process: dict[str, Any], **more: Any) -> dict[str, Any]:
    chosen = {} if policy is None else {"unavailable_machines": policy}
    return project("app", process=list(process) or [step(SAID)], **chosen, **more)


def ran(house: NetworkedHouse, name: str) -> list[str]:
    path = house.workdir(name) / "ran"
    return path.read_text().split() if path.exists() else []


def known(house: NetworkedHouse, name: str) -> Health:
    with house.database.read() as tx:
        return tx.machines.get(name).state


def state(house: NetworkedHouse, number: int) -> str:
    return house.detail(number).deployment.state.value


def message(house: NetworkedHouse, number: int) -> str:
    return house.detail(number).deployment.message or ""


def come_back(house: NetworkedHouse, *names: str) -> None:
    """The machines can be reached again, somebody looks at them, and what follows is done."""
    house.network.mend(*names)
    assert set(house.check(*names).values()) == {"healthy"}
    house.deliver_all()


# ---- fail ----


@pytest.mark.parametrize("policy", [None, "fail"])
def test_unless_its_project_says_otherwise_a_run_fails_with_the_machine_and_the_reason(
    house: NetworkedHouse, policy: str | None
) -> None:
    house.network.cut("web-2")
    number = deployed(house, policy)
    assert states(house, number) == {
        ("Install", "web-1"): "succeeded",
        ("Install", "web-2"): "failed",
    }
    assert [run.message for run in house.detail(number).runs] == [
        None,
        "web-2 does not answer: no route to host",
    ]
    assert (state(house, number), known(house, "web-2")) == ("failed", Health.UNAVAILABLE)
    assert house.held() == {}


def test_where_it_is_to_fail_a_machine_that_is_known_to_be_unavailable_is_tried(
    house: NetworkedHouse,
) -> None:
    house.network.cut("web-2")
    deployed(house, "fail")
    house.network.mend("web-2")
    assert house.create("app", "2.0").id == 2
    house.deliver_all()
    assert state(house, 2) == "succeeded"


def test_a_failure_to_reach_a_machine_is_tried_again_as_often_as_the_step_says(
    house: NetworkedHouse,
) -> None:
    house.network.cut("web-2")
    number = deployed(house, "fail", step(SAID, retries=2))
    assert [(r.machine, r.attempt) for r in house.detail(number).runs if r.attempt > 1] == [
        ("web-2", 2),
        ("web-2", 3),
    ]
    assert house.network.starts["web-2"] == 3


def test_a_machine_that_is_unfit_is_unavailable_like_one_that_is_out_of_reach(
    house: NetworkedHouse,
) -> None:
    folder = house.workdir("web-2")
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where a folder should be")
    number = deployed(house, "skip")
    (_, run) = house.detail(number).runs
    assert run.state is RunState.SKIPPED
    assert run.message is not None
    assert run.message.startswith("ticket run-2: work folder")
    assert known(house, "web-2") is Health.UNAVAILABLE


# ---- skip ----


def test_a_deployment_goes_on_without_a_machine_that_is_to_be_skipped(
    house: NetworkedHouse,
) -> None:
    house.network.cut("web-2")
    number = deployed(house, "skip", step(SAID, "One"), step(SAID, "Two"))
    assert states(house, number) == {
        ("One", "web-1"): "succeeded",
        ("One", "web-2"): "skipped",
        ("Two", "web-1"): "succeeded",
        ("Two", "web-2"): "skipped",
    }
    assert (state(house, number), message(house, number)) == ("succeeded", "without web-2")
    assert house.network.starts["web-2"] == 1
    assert house.held() == {}
    with house.database.read() as tx:
        (absence,) = tx.absences.all()
    assert (absence.machine, absence.deployment_id, absence.why) == ("web-2", 1, "unavailable")


def test_a_machine_that_is_known_to_be_unavailable_is_skipped_without_being_tried(
    house: NetworkedHouse,
) -> None:
    house.network.cut("web-2")
    deployed(house, "skip")
    house.create("app", "2.0")
    house.deliver_all()
    assert (state(house, 2), message(house, 2)) == ("succeeded", "without web-2")
    assert house.network.starts["web-2"] == 1
    (_, run) = house.detail(2).runs
    assert run.message == "web-2 does not answer: no route to host"


def test_a_step_that_no_machine_is_left_for_fails_its_deployment(house: NetworkedHouse) -> None:
    house.network.cut("web-1", "web-2")
    number = deployed(house, "skip")
    assert set(states(house, number).values()) == {"skipped"}
    assert state(house, number) == "failed"
    assert message(house, number) == "every machine of Install was left out"


def test_in_a_rolling_group_the_next_machine_has_its_turn_when_one_is_skipped(
    house: NetworkedHouse,
) -> None:
    house.network.cut("web-1")
    group = rolling(step(SAID, "Stop"), step(SAID, "Start"), max_parallel=1)
    number = deployed(house, "skip", group)
    assert (ran(house, "web-1"), ran(house, "web-2")) == ([], ["Stop", "Start"])
    assert (state(house, number), message(house, number)) == ("succeeded", "without web-1")


def test_a_machine_that_goes_in_the_middle_is_left_out_of_what_is_still_to_come(
    house: NetworkedHouse,
) -> None:
    house.apply(catalog(app("skip", step(SAID, "One"), step(SAID, "Two")), machines=TWO))
    house.create("app")
    house.deliver_chains()
    house.deliver_runs()
    house.network.cut("web-2")
    house.deliver_all()
    assert (ran(house, "web-1"), ran(house, "web-2")) == (["One", "Two"], ["One"])
    assert message(house, 1) == "without web-2"


# ---- wait ----


def waiting(house: NetworkedHouse, **more: Any) -> int:
    """A deployment that waits for web-2."""
    house.network.cut("web-2")
    number = deployed(house, "wait", **more)
    assert states(house, number) == {
        ("Install", "web-1"): "succeeded",
        ("Install", "web-2"): "pending",
    }
    return number


def test_a_run_that_waits_for_its_machine_holds_nothing_and_says_what_it_waits_for(
    house: NetworkedHouse,
) -> None:
    number = waiting(house)
    assert list(house.held()) == ["tag:app/QA"], "its deployment goes on; the run has no place"
    (wait,) = house.waits.why(f"dep-{number}")
    assert (wait.run, wait.reason, wait.holders) == ("run-2", Reason.MACHINE, ())
    assert wait.waits_for.startswith("machine web-2 to be back: unavailable since 2")
    assert wait.waits_for.endswith(": web-2 does not answer: no route to host")
    house.calendar.look()
    house.recovery.sweep()
    house.deliver_all()
    assert house.network.starts["web-2"] == 1


def test_it_goes_on_at_once_when_a_look_finds_the_machine_healthy(house: NetworkedHouse) -> None:
    number = waiting(house)
    come_back(house, "web-2")
    assert (state(house, number), message(house, number)) == ("succeeded", "")
    assert [run.attempt for run in house.detail(number).runs] == [1, 1]
    assert ran(house, "web-2") == ["Install"]
    assert house.held() == {}
    assert house.waits.why(f"dep-{number}") == []


def test_the_retries_of_its_step_are_not_used_up_by_that(house: NetworkedHouse) -> None:
    house.network.cut("web-2")
    number = deployed(house, "wait", step("test -e mended\n", retries=1))
    for _ in range(3):
        house.network.mend("web-2")
        house.network.cut("web-2")
        with house.database.write() as tx:
            tx.machines.found("web-2", Health.HEALTHY, house.clock.now(), None)
        house.calendar.look()
        house.deliver_all()
    assert house.network.starts["web-2"] == 4
    come_back(house, "web-2")
    attempts = [run.attempt for run in house.detail(number).runs if run.machine == "web-2"]
    assert attempts == [1, 2]


def test_who_comes_later_waits_as_well_without_trying_and_goes_on_in_its_place(
    house: NetworkedHouse,
) -> None:
    line = 'echo "$DEPLOYENGINE_PROJECT" >> ran\n'
    names = ("a", "b", "c")
    house.apply(
        catalog(*(project(n, line, unavailable_machines="wait") for n in names), machines=TWO)
    )
    house.network.cut("web-2")
    for name in names:
        house.create(name)
    house.deliver_all()
    assert house.network.starts["web-2"] == 1
    come_back(house, "web-2")
    assert ran(house, "web-2") == ["a", "b", "c"]


def test_a_machine_in_a_window_that_waits_keeps_its_turn(house: NetworkedHouse) -> None:
    house.network.cut("web-1")
    group = rolling(step(SAID, "Stop"), step(SAID, "Start"), max_parallel=1)
    number = deployed(house, "wait", group)
    assert ran(house, "web-2") == []
    come_back(house, "web-1")
    assert ran(house, "web-1") == ran(house, "web-2") == ["Stop", "Start"]
    assert state(house, number) == "succeeded"


def test_what_waits_for_a_machine_can_be_cancelled(house: NetworkedHouse) -> None:
    first = waiting(house)
    house.deployments.cancel_run(2)
    house.deliver_all()
    assert (states(house, first)["Install", "web-2"], state(house, first)) == (
        "cancelled",
        "failed",
    )
    house.create("app", "2.0")
    house.deliver_all()
    house.deployments.cancel(2)
    house.deliver_all()
    assert state(house, 2) == "cancelled"
    come_back(house, "web-2")
    assert (ran(house, "web-2"), house.held()) == ([], {})


def test_nobody_waits_for_a_machine_that_is_not_in_the_catalog_any_more(
    house: NetworkedHouse,
) -> None:
    number = waiting(house)
    house.apply(catalog(app("wait"), machines=[machine("web-1", "QA")]))
    house.calendar.look()
    house.deliver_all()
    run = house.detail(number).runs[1]
    assert run.state is RunState.FAILED
    assert run.message == (
        "web-2 does not answer: no route to host; it is not in the catalog any more"
    )


def test_a_message_of_a_grant_that_was_given_up_begins_nothing(house: NetworkedHouse) -> None:
    house.apply(catalog(app("wait"), machines=[machine("web-1", "QA")]))
    house.network.cut("web-1")
    house.create("app")
    house.deliver_chains()
    (old,) = house.dispatcher.take_runs()
    house.execute(old)
    assert house.execute(old) is None, "it waits for its machine"
    house.network.mend("web-1")
    house.check()
    (new,) = house.dispatcher.take_runs()
    assert house.execute(old) is None, "it waits for its turn, under another grant"
    assert ran(house, "web-1") == []
    house.execute(new)
    house.deliver_all()
    assert (ran(house, "web-1"), state(house, 1)) == (["Install"], "succeeded")


def test_a_script_that_began_although_nobody_heard_of_it_is_not_begun_again(
    house: NetworkedHouse,
) -> None:
    house.network.mute.add("web-2")
    number = deployed(house, "wait")
    come_back(house, "web-2")
    assert ran(house, "web-2") == ["Install"]
    assert state(house, number) == "succeeded"


def test_a_machine_that_is_back_before_its_run_has_left_the_line_is_not_missed(
    house: NetworkedHouse,
) -> None:
    house.network.cut("web-2")

    def back() -> None:
        house.network.mend("web-2")
        assert house.check("web-2") == {"web-2": "healthy"}

    house.database.meanwhile["aside"] = back
    number = deployed(house, "wait")
    assert (state(house, number), ran(house, "web-2")) == ("succeeded", ["Install"])
    assert house.held() == {}


def test_what_waits_goes_on_later_if_redis_is_away_when_its_machine_is_back(
    house: NetworkedHouse,
) -> None:
    number = waiting(house)
    house.network.mend("web-2")
    with away(house.redis):
        assert house.check("web-2") == {"web-2": "healthy"}
    house.calendar.look()
    house.recovery.sweep()
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_a_wait_whose_answer_was_lost_is_one_all_the_same(house: NetworkedHouse) -> None:
    house.database.unanswered.append("aside")
    number = waiting(house)
    assert list(house.held()) == ["tag:app/QA"]
    come_back(house, "web-2")
    assert state(house, number) == "succeeded"


def test_what_waits_for_a_machine_that_is_disabled_goes_on_without_it(
    house: NetworkedHouse,
) -> None:
    number = waiting(house)
    with house.database.write() as tx:  # as somebody does who looked for runs just before it waited
        tx.machines.set_mode("web-2", MachineMode.DISABLED, None, "ada", house.clock.now())
    house.calendar.look()
    house.deliver_all()
    assert (state(house, number), message(house, number)) == ("succeeded", "without web-2")


# ---- on behalf of others, and around a turn ----

LB = [machine("web-[1:2]", "QA"), machine("lb", "QA", roles=["lb"])]
SAYS_WHOM = 'echo "$DEPLOYENGINE_STEP-$DEPLOYENGINE_MACHINE" >> ran\n'


def has_behind(house: NetworkedHouse, policy: str, *, before: bool = True, always: bool) -> None:
    """Two machines that another one takes out of a load balancer, one after the other, and back."""
    hook = {"script": SAYS_WHOM, "runs_on": "lb"}
    hooks = {"after": {**hook, "always": always}} | ({"before": hook} if before else {})
    group = rolling(step(SAID, "Swap"), roles=["web"], max_parallel=1, **hooks)
    house.apply(catalog(app(policy, group), machines=LB))


def behind(house: NetworkedHouse, policy: str, *, before: bool = True) -> int:
    """A deployment to them, carried as far as it goes."""
    has_behind(house, policy, before=before, always=True)
    number = house.create("app").id
    house.deliver_all()
    return number


def test_a_machine_that_is_skipped_after_its_turn_has_begun_is_put_back(
    house: NetworkedHouse,
) -> None:
    house.network.cut("web-1")
    number = behind(house, "skip")
    assert ran(house, "lb") == [
        *("Roll:", "before-web-1", "Roll:", "after-web-1"),
        *("Roll:", "before-web-2", "Roll:", "after-web-2"),
    ]
    assert (ran(house, "web-1"), ran(house, "web-2")) == ([], ["Swap"])
    assert message(house, number) == "without web-1"


def test_where_nothing_of_a_turn_has_begun_nothing_is_put_back(house: NetworkedHouse) -> None:
    house.network.cut("web-1")
    number = behind(house, "skip", before=False)
    assert [line for line in ran(house, "lb") if line.endswith("web-1")] == []
    assert message(house, number) == "without web-1"


def test_that_another_machine_is_away_is_no_reason_to_leave_out_whom_it_works_for(
    house: NetworkedHouse,
) -> None:
    house.network.cut("lb")
    number = behind(house, "skip")
    assert state(house, number) == "failed"
    (first, *_) = house.detail(number).runs
    assert first.message == "lb does not answer: no route to host"
    with house.database.read() as tx:
        assert tx.absences.all() == []


def test_who_works_for_others_is_waited_for(house: NetworkedHouse) -> None:
    house.network.cut("lb")
    number = behind(house, "wait")
    (wait,) = [w for w in house.waits.why(f"dep-{number}") if w.reason is Reason.MACHINE]
    assert wait.waits_for.startswith("machine lb to be back")
    come_back(house, "lb")
    assert state(house, number) == "succeeded"


def test_who_works_for_others_and_is_disabled_fails_what_it_is_to_do(
    house: NetworkedHouse,
) -> None:
    has_behind(house, "skip", always=False)
    house.create("app")
    house.deliver_chains()
    (change,) = house.machines.set_mode(["lb"], MachineMode.DISABLED, None, "ada")
    assert change.needed_by == [1]
    house.deliver_all()
    (first, *_) = house.detail(1).runs
    assert (first.state, first.message) == (RunState.FAILED, "lb was disabled by ada")


def test_nothing_is_planned_that_somebody_who_is_disabled_is_to_carry_out(
    house: NetworkedHouse,
) -> None:
    has_behind(house, "skip", always=False)
    house.machines.set_mode(["lb"], MachineMode.DRAINING, None, "ada")
    with pytest.raises(NotEnabled, match="lb is being drained by ada, and is to carry out Roll: b"):
        house.create("app")


def test_who_is_to_carry_something_out_for_others_is_busy(house: NetworkedHouse) -> None:
    has_behind(house, "skip", always=False)
    house.create("app")
    busy = {view.machine.name: view.busy for view in house.machines.all()}
    assert busy == {"web-1": 3, "web-2": 3, "lb": 4}
    house.deliver_all()
    assert {view.busy for view in house.machines.all()} == {0}


def test_a_machine_that_is_away_is_skipped_before_its_hook_runs_elsewhere(
    house: NetworkedHouse,
) -> None:
    has_behind(house, "skip", always=False)
    house.network.cut("web-1")
    house.check()
    house.create("app")
    house.deliver_all()
    runs = [run for run in house.detail(1).runs if run.machine == "web-1"]
    assert {(run.state, run.started_at) for run in runs} == {(RunState.SKIPPED, None)}


def test_a_turn_that_was_broken_off_is_repeated_as_a_whole_when_its_machine_is_back(
    house: NetworkedHouse,
) -> None:
    has_behind(house, "skip", always=False)
    house.create("app")
    house.deliver_all()
    house.network.cut("web-1")  # nobody knows yet: its hook runs, and its script cannot
    again = house.deployments.deploy("app", "1.0", "QA").id
    house.deliver_all()
    assert house.detail(again).deployment.state == "succeeded"
    house.network.mend("web-1")
    house.check()
    house.deliver_all()
    (caught_up,) = [d for d in house.queries.deployments() if d.catches_up]
    ended = {(run.machine, run.state) for run in house.detail(caught_up.id).runs}
    assert ended == {("web-1", RunState.SUCCEEDED)}


def test_who_is_cancelled_in_the_middle_of_a_turn_tells_of_which_machines(
    house: NetworkedHouse,
) -> None:
    has_behind(house, "skip", always=False)
    house.create("app")
    house.deliver_chains()
    house.deliver_runs()
    house.deployments.cancel(1, "ada")
    house.deliver_all()
    assert house.detail(1).deployment.message == "cancelled; Roll: after did not run for web-1"


def test_a_hook_that_ran_at_its_second_attempt_did_run(house: NetworkedHouse) -> None:
    once = {"script": "[ -e once ] || { touch once; exit 1; }\n", "runs_on": "lb", "retries": 1}
    group = rolling(step(SAID, "Swap"), roles=["web"], max_parallel=1, after=once)
    house.apply(catalog(app("fail", group), machines=LB))
    house.create("app")
    house.deliver_chains()
    while house.states(1).count("succeeded") < 2:  # Swap and after, on web-1
        house.deliver_runs()
        house.deliver_chains()
    house.deliver_runs()  # Swap on web-2
    house.deployments.cancel(1, "ada")
    house.deliver_all()
    assert house.detail(1).deployment.message == "cancelled; Roll: after did not run for web-2"


# ---- another worker ----


@pytest.mark.parametrize("policy", ["fail", "skip", "wait"])
def test_a_worker_that_has_lost_its_run_meanwhile_turns_nothing_away(
    house: NetworkedHouse, policy: str
) -> None:
    house.apply(catalog(app(policy), machines=[machine("web-1", "QA")]))
    house.network.cut("web-1")
    house.create("app")
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    with house.neighbour() as other:
        other.lease.beat()
        taken = []

        def take_over() -> None:
            house.lease.leave()
            (orphan,) = other.step_runs.claims.orphans(other.lease.name, other.lease.place)
            taken.append(other.step_runs.claims.take_over(orphan, other.lease.name))

        house.database.meanwhile["health"] = take_over
        assert house.execute(run) is None
        assert house.detail(1).runs[0].worker == other.lease.name
        house.network.mend("web-1")
        (inherited,) = taken
        assert inherited is not None
        assert other.step_runs.pick_up(inherited) is None, "it never began"
        other.check()
        other.deliver_all()
    assert (ran(house, "web-1"), state(house, 1)) == (["Install"], "succeeded")


def test_a_machine_that_was_disabled_after_the_run_was_readied_is_left_out(
    house: NetworkedHouse,
) -> None:
    house.apply(catalog(app("fail"), machines=TWO, lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    house.deployments.deploy("app", "1.0", "QA")
    house.deliver_chains()
    with house.database.write() as tx:  # as somebody does who looked for runs before there were any
        tx.machines.set_mode("web-2", MachineMode.DISABLED, "new disk", "ada", house.clock.now())
    house.deliver_all()
    (_, run) = house.detail(1).runs
    assert (run.state, run.message) == (RunState.SKIPPED, "web-2 was disabled by ada (new disk)")
    assert house.network.starts["web-2"] == 0
    assert message(house, 1) == "without web-2"


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("db does not answer", "db does not answer"),
        ("machine db: refused", "machine db: refused"),
        ("the database is full", "db is unavailable: the database is full"),
        ("db-2 is in the way", "db is unavailable: db-2 is in the way"),
    ],
)
def test_what_is_told_of_a_machine_names_it(why: str, said: str) -> None:
    assert unavailable("db", why) == said
