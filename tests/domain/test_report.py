"""The report's figures, on schedules small enough to be added up by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployengine.domain.bounds import Bound, Limit
from deployengine.domain.deployment import DeploymentState, ReleaseState, RunState
from deployengine.domain.plan import ELSEWHERE
from deployengine.domain.report import DeploymentFacts, Report, RunFacts, report, to_document

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOON + timedelta(seconds=seconds)


def deployed(
    number: int, project: str, environment: str, *instants: float | None, **more: object
) -> DeploymentFacts:
    """``instants``: created, started, finished, in seconds."""
    created, started, finished = (at(second) for second in instants)
    assert created is not None
    facts = DeploymentFacts(
        id=f"dep-{number}",
        project=project,
        version="1.0",
        environment=environment,
        state=DeploymentState.SUCCEEDED,
        created_at=created,
        started_at=started,
        finished_at=finished,
    )
    return replace(facts, **more)  # type: ignore[arg-type]


def ran(
    number: int,
    deployment: DeploymentFacts,
    machine: str,
    *instants: float | None,
    **more: object,
) -> RunFacts:
    """``instants``: ready, granted, started, finished, in seconds."""
    ready, granted, started, finished = (at(second) for second in instants)
    facts = RunFacts(
        run=f"run-{number}",
        deployment=deployment.id,
        project=deployment.project,
        version=deployment.version,
        environment=deployment.environment,
        step="Install",
        machine=machine,
        attempt=1,
        state=RunState.SUCCEEDED,
        lock_mode="exclusive",
        ready_at=ready,
        granted_at=granted,
        started_at=started,
        finished_at=finished,
        exit_code=0,
    )
    return replace(facts, **more)  # type: ignore[arg-type]


def two_projects_through_two_environments() -> Report:
    """QA is one machine, Production two, every lock exclusive, the task cap 2.

    ::

        qa-1    [ a 0-4 ][ b 4-7 ]
        prod-1       [ a 5-7 ]  [ b 8-10 ]
        prod-2       [ a 5-6 ]  [ b 9-12 ]
    """
    a_qa, b_qa = deployed(1, "a", "QA", 0, 0, 4), deployed(2, "b", "QA", 0, 1, 7)
    a_prod, b_prod = (
        deployed(3, "a", "Production", 4, 4, 7),
        deployed(4, "b", "Production", 7, 8, 12),
    )
    runs = [
        ran(1, a_qa, "qa-1", 0, 0, 0, 4),
        ran(2, b_qa, "qa-1", 1, 4, 4, 7),
        ran(3, a_prod, "prod-1", 4, 4, 5, 7),
        ran(4, a_prod, "prod-2", 4, 4, 5, 6),
        ran(5, b_prod, "prod-1", 8, 8, 8, 10),
        ran(6, b_prod, "prod-2", 8, 8, 9, 12),
    ]
    return report("nightly", runs, [b_prod, a_prod, b_qa, a_qa], 2)


def test_the_makespan_goes_from_the_first_creation_to_the_last_end() -> None:
    assert two_projects_through_two_environments().makespan_seconds == 12


def test_each_wait_is_summed_under_its_own_name() -> None:
    waits = two_projects_through_two_environments().waits

    assert waits.machine_seconds == 3
    assert waits.tag_seconds == 2
    assert waits.task_cap_seconds == 3


def test_utilisation_is_the_share_of_the_slots_that_ran_scripts() -> None:
    found = two_projects_through_two_environments()

    assert found.running_seconds == 15
    assert found.utilisation == 15 / (2 * 12)


def test_the_busiest_machine_bounds_by_its_work_and_the_least_way_to_and_from_it() -> None:
    """qa-1 has 7 s of work, and after it at least 2 s of Production remain (those of a)."""
    found = two_projects_through_two_environments()

    assert found.bound == Bound(Limit.MACHINE, "qa-1", 0, 7, 2)
    assert found.lower_bound_seconds == 9
    assert found.ratio == 12 / 9


def test_environments_are_summed_up_in_the_order_in_which_the_batch_came_to_them() -> None:
    qa, production = two_projects_through_two_environments().environments

    assert (qa.environment, qa.deployments, qa.machines, qa.runs) == ("QA", 2, 1, 2)
    assert (production.environment, production.machines, production.runs) == ("Production", 2, 4)
    assert (qa.running_seconds, production.running_seconds) == (7, 8)
    assert (qa.waits.machine_seconds, qa.waits.tag_seconds, qa.waits.task_cap_seconds) == (3, 1, 0)
    assert production.waits.task_cap_seconds == 3


def test_a_queue_at_one_exclusive_machine_without_a_gap_is_as_good_as_can_be() -> None:
    ends = [0, 4, 5, 11]
    queue = [deployed(n, f"app-{n}", "QA", 0, 0, ends[n]) for n in (1, 2, 3)]
    runs = [ran(n, queue[n - 1], "qa-1", 0, ends[n - 1], ends[n - 1], ends[n]) for n in (1, 2, 3)]

    assert report("queue", runs, queue, 5).ratio == 1.0


def test_shared_runs_count_for_a_machine_as_if_they_had_all_run_at_once() -> None:
    """3 s alone, then 4 s and 5 s side by side: 8 s, not 12."""
    three = [deployed(n, f"app-{n}", "QA", 0, 0, 8) for n in (1, 2, 3)]
    runs = [
        ran(1, three[0], "qa-1", 0, 0, 0, 3),
        ran(2, three[1], "qa-1", 0, 3, 3, 7, lock_mode="shared"),
        ran(3, three[2], "qa-1", 0, 3, 3, 8, lock_mode="shared"),
    ]
    found = report("shared", runs, three, 5)

    assert found.bound == Bound(Limit.MACHINE, "qa-1", 0, 8, 0)
    assert found.ratio == 1.0


def test_what_another_machine_carries_out_keeps_nobody_from_the_machine_that_it_is_for() -> None:
    one, two = deployed(1, "a", "QA", 0, 0, 5), deployed(2, "b", "QA", 0, 0, 5)
    runs = [
        ran(1, one, "qa-1", 0, 0, 0, 5),
        ran(2, two, "qa-1", 0, 0, 0, 5, lock_mode=ELSEWHERE),
    ]
    assert report("hooks", runs, [one, two], 9).lower_bound_seconds == 5


def test_a_shared_run_that_is_at_once_at_hand_does_not_spoil_a_machines_bound() -> None:
    """a and c come to prod-1 after 6 s, for 5 s and 4 s: 6 + 9. b's shared second needs nothing
    before it: with it there would be 0 + 10."""
    a_qa, c_qa = deployed(1, "a", "QA", 0, 0, 6), deployed(2, "c", "QA", 0, 0, 6)
    a_prod = deployed(3, "a", "Production", 6, 6, 11)
    c_prod = deployed(4, "c", "Production", 6, 6, 15)
    b_prod = deployed(5, "b", "Production", 0, 0, 1)
    runs = [
        ran(1, a_qa, "qa-1", 0, 0, 0, 6),
        ran(2, c_qa, "qa-2", 0, 0, 0, 6),
        ran(3, a_prod, "prod-1", 6, 6, 6, 11),
        ran(4, c_prod, "prod-1", 6, 11, 11, 15),
        ran(5, b_prod, "prod-1", 0, 0, 0, 1, lock_mode="shared"),
    ]
    found = report("b", runs, [a_qa, c_qa, a_prod, c_prod, b_prod], 5)

    assert found.bound == Bound(Limit.MACHINE, "prod-1", 6, 9, 0)


def test_of_shared_runs_that_are_equally_long_the_one_with_the_longer_way_counts() -> None:
    """qa-1 has 1 s alone and, beside it, 3 s of a (then nothing) or of b (then 2 s): 1 + 3 + 2."""
    a_qa, b_qa, c_qa = (deployed(n, name, "QA", 0, 0, 4) for n, name in enumerate("abc", 1))
    b_prod, c_prod = (deployed(n, name, "Production", 4, 4, 6) for n, name in enumerate("bc", 4))
    runs = [
        ran(1, a_qa, "qa-1", 0, 0, 0, 3, lock_mode="shared"),
        ran(2, b_qa, "qa-1", 0, 0, 0, 3, lock_mode="shared"),
        ran(3, c_qa, "qa-1", 0, 3, 3, 4),
        ran(4, b_prod, "prod-1", 4, 4, 4, 6),
        ran(5, c_prod, "prod-2", 4, 4, 4, 6),
    ]
    found = report("equal", runs, [a_qa, b_qa, c_qa, b_prod, c_prod], 5)

    assert found.bound == Bound(Limit.MACHINE, "qa-1", 0, 4, 2)


def test_a_tight_task_cap_bounds_by_all_work_over_its_slots() -> None:
    three = [deployed(n, f"app-{n}", "QA", 0, 0, 3) for n in (1, 2, 3)]
    runs = [ran(n, three[n - 1], f"qa-{n}", 0, 0, n - 1, n) for n in (1, 2, 3)]

    assert report("cap", runs, three, 1).bound == Bound(Limit.TASK_CAP, "", 0, 3, 0)
    assert report("cap", runs, three, 2).bound == Bound(Limit.TASK_CAP, "", 0, 1.5, 0)


def test_the_longest_way_of_one_release_bounds_where_the_machines_have_little_to_do() -> None:
    """a: 3 s in QA, 4 s in Production. b: 1 s in each. qa-1 gives 4 + 1, prod-1 gives 1 + 5."""
    a_qa, b_qa = deployed(1, "a", "QA", 0, 0, 3), deployed(2, "b", "QA", 0, 0, 4)
    a_prod = deployed(3, "a", "Production", 3, 3, 7)
    b_prod = deployed(4, "b", "Production", 4, 4, 8)
    runs = [
        ran(1, a_qa, "qa-1", 0, 0, 0, 3),
        ran(2, b_qa, "qa-1", 0, 3, 3, 4),
        ran(3, a_prod, "prod-1", 3, 3, 3, 7),
        ran(4, b_prod, "prod-1", 4, 7, 7, 8),
    ]
    found = report("way", runs, [a_qa, b_qa, a_prod, b_prod], None)

    assert found.lower_bound_seconds == 7
    assert found.bound is not None
    assert (found.bound.limit, found.bound.name) == (Limit.RELEASE, "a 1.0")
    assert found.utilisation is None


def test_steps_follow_one_another_and_wait_for_all_machines() -> None:
    """Step one takes 1 s and 5 s on two machines; step two 2 s on the first: 5 + 2 on its way."""
    only = deployed(1, "a", "QA", 0, 0, 7)
    runs = [
        ran(1, only, "qa-1", 0, 0, 0, 1, step="one"),
        ran(2, only, "qa-2", 0, 0, 0, 5, step="one"),
        ran(3, only, "qa-1", 5, 5, 5, 7, step="two"),
    ]

    assert report("steps", runs, [only], 9).lower_bound_seconds == 7


def test_an_attempt_follows_the_earlier_ones_on_its_machine_and_none_on_others() -> None:
    """qa-1: 2 s, then 3 s more. qa-2's second attempt began after qa-1's first had ended, and
    could as well have gone before: 5 s on qa-1, not 2 + 3 + anything on qa-2."""
    only = deployed(1, "a", "QA", 0, 0, 6)
    bad = {"state": RunState.FAILED, "exit_code": 1}
    runs = [
        ran(1, only, "qa-1", 0, 0, 0, 2, **bad),
        ran(2, only, "qa-1", 2, 2, 2, 5, attempt=2),
        ran(3, only, "qa-2", 0, 0, 0, 3, **bad),
        ran(4, only, "qa-2", 3, 4, 5, 6, attempt=2),
    ]

    assert report("again", runs, [only], 9).lower_bound_seconds == 5


def test_earlier_attempts_belong_to_the_way_before_and_later_ones_to_the_way_after() -> None:
    """a's shared attempts take 2 s and 5 s, b's 4 s alone have 3 s before them: 2 + 4 + 5. The
    other way round, 5 s and 2 s, with b's 3 s after: 4 + 5 + 2."""
    shared = {"lock_mode": "shared"}
    a, first = deployed(1, "a", "P", 0, 0, 7), deployed(2, "b", "Q", 0, 0, 3)
    late = deployed(3, "b", "P", 3, 3, 11)
    runs = [
        ran(1, a, "m", 0, 0, 0, 2, **shared, state=RunState.FAILED),
        ran(2, a, "m", 2, 2, 2, 7, **shared, attempt=2),
        ran(3, first, "q", 0, 0, 0, 3),
        ran(4, late, "m", 3, 7, 7, 11),
    ]
    assert report("before", runs, [a, first, late], 5).bound == Bound(Limit.MACHINE, "m", 2, 9, 0)

    a, early = deployed(1, "a", "P", 0, 0, 11), deployed(2, "b", "P", 0, 0, 4)
    then = deployed(3, "b", "Q", 4, 4, 7)
    runs = [
        ran(1, early, "m", 0, 0, 0, 4),
        ran(2, a, "m", 0, 4, 4, 9, **shared, state=RunState.FAILED),
        ran(3, a, "m", 9, 9, 9, 11, **shared, attempt=2),
        ran(4, then, "q", 4, 4, 4, 7),
    ]
    assert report("after", runs, [a, early, then], 5).bound == Bound(Limit.MACHINE, "m", 0, 9, 2)


def test_steps_that_were_ready_together_do_not_follow_each_other() -> None:
    only = deployed(1, "a", "QA", 0, 0, 5)
    runs = [
        ran(1, only, "qa-1", 0, 0, 0, 2, step="one"),
        ran(2, only, "qa-2", 0, 2, 2, 5, step="two"),
    ]

    assert report("together", runs, [only], 9).lower_bound_seconds == 3


def test_environments_of_one_phase_count_as_side_by_side_even_if_one_went_first() -> None:
    east, west = deployed(1, "a", "East", 0, 0, 3), deployed(2, "a", "West", 0, 4, 8)
    runs = [ran(1, east, "east-1", 0, 0, 0, 3), ran(2, west, "west-1", 4, 4, 4, 8)]

    assert report("phase", runs, [east, west], 9).lower_bound_seconds == 4


def test_spans_that_go_backwards_because_clocks_differ_count_as_nothing() -> None:
    skewed = deployed(1, "a", "QA", 1, 0, 3)
    found = report("skew", [ran(1, skewed, "qa-1", 2, 1.9, 1.8, 1.7)], [skewed], 1)

    assert found.waits.machine_seconds == found.waits.task_cap_seconds == 0
    assert found.waits.tag_seconds == found.running_seconds == 0
    assert found.makespan_seconds == 2


def test_what_was_cancelled_while_it_waited_is_counted_but_its_wait_is_not() -> None:
    gone = deployed(1, "a", "QA", 0, 0, 9, state=DeploymentState.CANCELLED)
    run = ran(1, gone, "qa-1", 0, None, None, 9, state=RunState.CANCELLED)
    found = report("gone", [run], [gone], 1)

    assert found.counts.runs == {RunState.CANCELLED: 1}
    assert found.waits.machine_seconds == 0
    assert found.slowest == ()
    assert found.bound is None
    assert found.ratio is None


def test_a_release_is_counted_by_its_latest_deployment_in_each_environment() -> None:
    first = deployed(1, "a", "QA", 0, 0, 1, state=DeploymentState.FAILED)
    again = deployed(2, "a", "QA", 2, 2, 3)
    other = deployed(3, "b", "QA", 0, 0, 1, state=DeploymentState.FAILED)
    counts = report("counts", [], [again, other, first], 1).counts

    assert counts.releases == {ReleaseState.SUCCEEDED: 1, ReleaseState.FAILED: 1}
    assert counts.deployments == {DeploymentState.SUCCEEDED: 1, DeploymentState.FAILED: 2}


def test_the_ten_slowest_runs_are_named_the_slowest_first() -> None:
    many = [deployed(n, f"app-{n}", "QA", 0, 0, n) for n in range(1, 13)]
    found = report(
        "slow", [ran(n, many[n - 1], f"m-{n}", 0, 0, 0, n) for n in range(1, 13)], many, 9
    )

    assert [run.running_seconds for run in found.slowest] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]


def test_a_run_that_asks_how_it_ended_is_no_failure_until_nobody_is_asked_any_more() -> None:
    only = deployed(1, "a", "QA", 0, 0, None, state=DeploymentState.PAUSED)
    run = ran(1, only, "qa-1", 0, 0, 0, 2, state=RunState.UNKNOWN, asks=True)

    asking = report("paused", [run], [only], 1)
    closed = report("closed", [replace(run, asks=False)], [only], 1)

    assert (asking.failures, asking.environments[0].failed) == ((), 0)
    assert asking.counts.releases == {ReleaseState.RUNNING: 1}
    assert ([f.run for f in closed.failures], closed.environments[0].failed) == (
        [replace(run, asks=False)],
        1,
    )


def test_failures_tell_their_last_lines_and_whether_a_later_attempt_succeeded() -> None:
    fixed, lost = deployed(1, "a", "QA", 0, 0, 2), deployed(2, "b", "QA", 0, 0, 2)
    lost = replace(lost, state=DeploymentState.FAILED)
    bad = {"state": RunState.FAILED, "exit_code": 3, "message": "exit code 3"}
    runs = [
        ran(1, fixed, "qa-1", 0, 0, 0, 1, **bad),
        ran(2, fixed, "qa-1", 1, 1, 1, 2, attempt=2),
        ran(3, lost, "qa-2", 0, 0, 0, 2, **bad, last_lines=("disk", "full")),
    ]
    document = to_document(report("bad", runs, [fixed, lost], 2))

    assert [(f["run"], f["recovered"]) for f in document["failures"]] == [
        ("run-1", True),
        ("run-3", False),
    ]
    assert document["failures"][1]["message"] == "exit code 3"
    assert document["failures"][1]["last_lines"] == ["disk", "full"]


def test_a_deployment_that_failed_without_any_run_failing_is_a_failure_too() -> None:
    refused = deployed(
        1, "a", "QA", 0, None, 1, state=DeploymentState.FAILED, message="no machine bears web"
    )
    (failure,) = to_document(report("refused", [], [refused], 1))["failures"]

    assert failure["run"] is None
    assert (failure["deployment"], failure["message"]) == ("dep-1", "no machine bears web")


def test_the_document_is_plain_json_and_says_what_the_contract_promises() -> None:
    document = to_document(two_projects_through_two_environments())

    assert json.loads(json.dumps(document)) == document
    assert document["waits"] == {"machine_seconds": 3, "tag_seconds": 2, "task_cap_seconds": 3}
    assert (document["makespan_seconds"], document["lower_bound_seconds"]) == (12, 9)
    assert document["ratio"] == 1.333333
    assert (document["running_seconds"], document["utilisation"]) == (15, 0.625)
    assert document["task_cap"] == 2
    assert document["counts"]["releases"] == {"succeeded": 2}
    assert [e["environment"] for e in document["environments"]] == ["QA", "Production"]


def test_nothing_at_all_makes_a_report_without_figures_to_divide_by() -> None:
    empty = report("empty", [], [], 5)

    assert (empty.makespan_seconds, empty.lower_bound_seconds) == (0, 0)
    assert (empty.ratio, empty.utilisation) == (None, None)
    assert json.dumps(to_document(empty))


def test_a_task_cap_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="task cap is 0"):
        report("none", [], [], 0)


# Any lawful schedule. One release a project: phases of environments, environments of machines,
# steps on some of the machines. Durations and lock modes are the instance; who goes first, and
# how long everybody dawdles between, is the schedule.

Visit = tuple[str, bool, tuple[int, ...]]  # machine, exclusive, seconds of each attempt
Deploy = tuple[str, list[list[Visit]]]  # environment, steps of visits
Phases = list[list[Deploy]]


@dataclass
class Instance:
    """What is to be done, and with how many slots."""

    releases: list[Phases]
    cap: int


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    phases = draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))
    names = [[f"env-{p}-{e}" for e in range(n)] for p, n in enumerate(phases)]
    sizes = {name: draw(st.integers(1, 2)) for phase in names for name in phase}
    attempts = st.lists(st.integers(1, 9), min_size=1, max_size=2).map(tuple)

    def deploy(environment: str) -> Deploy:
        return environment, [
            [
                (f"{environment}-{m}", draw(st.booleans()), draw(attempts))
                for m in range(draw(st.integers(1, sizes[environment])))
            ]
            for _ in range(draw(st.integers(1, 2)))
        ]

    count = draw(st.integers(1, 4))
    releases = [[[deploy(e) for e in phase] for phase in names] for _ in range(count)]
    return Instance(releases, draw(st.integers(1, 4)))


class Simulation:
    """Second by second, whoever may start is started in any order, or left for later."""

    def __init__(self, instance: Instance, seed: int) -> None:
        self.instance = instance
        self.any = Random(seed)
        self.now = 0
        self.running: list[tuple[int, str, bool]] = []  # end, machine, exclusive
        self.runs: list[RunFacts] = []
        self.deployments: list[DeploymentFacts] = []

    def report(self) -> Report:
        lives = [self._release(n, phases) for n, phases in enumerate(self.instance.releases)]
        while lives:
            self.any.shuffle(lives)
            lives = [life for life in lives if next(life, "over") != "over"]
            self.now += 1
            self.running = [each for each in self.running if each[0] > self.now]
        return report("simulated", self.runs, self.deployments, self.instance.cap)

    def _release(self, number: int, phases: Phases) -> Iterator[None]:
        for phase in phases:
            yield from self._together(self._deploy(number, deploy, self.now) for deploy in phase)

    def _together(self, lives: Iterable[Iterator[None]]) -> Iterator[None]:
        left = list(lives)
        while left := [life for life in left if next(life, "over") != "over"]:
            self.any.shuffle(left)
            yield

    def _deploy(self, project: int, deploy: Deploy, created: int) -> Iterator[None]:
        environment, steps = deploy
        facts = deployed(len(self.deployments), f"app-{project}", environment, created, None, None)
        place = len(self.deployments)
        self.deployments.append(facts)
        while self.any.random() < 0.3:
            yield
        self.deployments[place] = facts = replace(facts, started_at=at(self.now))
        for step, visits in enumerate(steps):
            yield from self._together(self._visit(facts, f"step-{step}", v) for v in visits)
        self.deployments[place] = replace(facts, finished_at=at(self.now))

    def _visit(self, deployment: DeploymentFacts, step: str, visit: Visit) -> Iterator[None]:
        machine, exclusive, attempts = visit
        for attempt, seconds in enumerate(attempts, 1):
            ready = self.now
            while not self._free(machine, exclusive) or self.any.random() < 0.2:
                yield
            start, end = self.now, self.now + seconds
            self.running.append((end, machine, exclusive))
            while self.now < end:
                yield
            mode = "exclusive" if exclusive else "shared"
            last = attempt == len(attempts)
            state = RunState.SUCCEEDED if last else RunState.FAILED
            run = ran(len(self.runs), deployment, machine, ready, start, start, end)
            run = replace(run, step=step, attempt=attempt, lock_mode=mode, state=state)
            self.runs.append(run)

    def _free(self, machine: str, exclusive: bool) -> bool:
        present = [alone for _, m, alone in self.running if m == machine]
        clash = bool(present) if exclusive else any(present)
        return not clash and len(self.running) < self.instance.cap


@given(instances(), st.integers(0, 2**32), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_no_lawful_schedule_beats_the_bound_whichever_schedule_it_was_read_off(
    instance: Instance, one: int, other: int
) -> None:
    first, second = Simulation(instance, one).report(), Simulation(instance, other).report()

    assert first.lower_bound_seconds == second.lower_bound_seconds > 0
    assert first.lower_bound_seconds <= min(first.makespan_seconds, second.makespan_seconds)
