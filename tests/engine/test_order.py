"""Order: priorities, the top of the queue, shares of the task cap, grants that are taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.audit import Action
from deployengine.domain.deployment import RunState
from deployengine.domain.errors import RequestError
from deployengine.domain.selection import Selection
from deployengine.engine.claims import Claimed
from deployengine.engine.endings import Outcome
from deployengine.engine.intake import Terms
from deployengine.engine.order import HasEnded, NotInLine
from deployengine.engine.questions import Answer
from deployengine.engine.releases import Wanted
from deployengine.engine.tickets import HIGHEST, LOWEST, STRETCH, before, draw, level, moved
from deployengine.persistence.counters import TICKET
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.fakes import House

MANUAL = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]


def ready(house: House, *names: str, **parts: Any) -> None:
    house.apply(catalog(*(project(n, "true\n") for n in names), **{"lifecycles": MANUAL, **parts}))
    for name in names:
        house.releases.create(Wanted(name, "1.0"))


def deploy(house: House, name: str, **terms: Any) -> int:
    return house.deployments.deploy(name, "1.0", "QA", Terms(**terms)).id


def line(house: House) -> tuple[list[str], list[str]]:
    return house.held()["machine:qa-1"]


def run_of(house: House, number: int) -> str:
    return f"run-{house.detail(number).runs[0].id}"


def claimed(house: House) -> Claimed:
    """The one run that is granted, now running with a worker."""
    (granted,) = house.dispatcher.take_runs()
    run = house.step_runs.claims.claim(granted.run_id, granted.granted_at, "somebody")
    assert run is not None
    return run


def end(house: House, running: Claimed) -> None:
    """It has succeeded."""
    house.step_runs._endings.conclude(running, Outcome(RunState.SUCCEEDED, 0))


# ---- tickets ----


@given(st.integers(LOWEST, HIGHEST), st.integers(LOWEST, HIGHEST), st.integers(1, 10**6))
def test_a_ticket_tells_its_level_and_moves_between_levels_and_back(
    first: int, second: int, number: int
) -> None:
    (ticket,) = draw(_Counting(number), first)  # type: ignore[arg-type]
    assert level(ticket) == first
    assert level(moved(ticket, second)) == second
    assert moved(moved(ticket, second), first) == ticket
    assert (moved(ticket, second) < ticket) == (second > first)


@given(st.integers(1, 10**7), st.integers(1, 10**7), st.integers(1, HIGHEST))
def test_a_request_is_overtaken_only_by_what_comes_within_the_stretch(
    early: int, later: int, priority: int
) -> None:
    (normal,) = draw(_Counting(early), 0)  # type: ignore[arg-type]
    (urgent,) = draw(_Counting(early + later), priority)  # type: ignore[arg-type]
    assert (urgent < normal) == (later <= priority * STRETCH)


def test_the_top_is_before_all_and_urgent() -> None:
    (lowest,) = draw(_Counting(1), HIGHEST)  # type: ignore[arg-type]
    tickets = before(lowest, 3)
    assert [level(t) for t in tickets] == [HIGHEST] * 3
    assert max(tickets) < lowest
    assert min(before(tickets.start, 1000)) > 0


class _Counting:
    """A transaction as far as drawing goes: the next number is this one."""

    def __init__(self, number: int) -> None:
        self.counters = self
        self._number = number

    def draw(self, _name: str, _many: int = 1) -> int:
        return self._number


# ---- priorities ----


def test_an_urgent_deployment_goes_before_all_that_waits_and_keeps_its_message_first(
    house: House,
) -> None:
    ready(house, "a", "b", "fix")
    first, second = deploy(house, "a"), deploy(house, "b")
    house.deliver_chains()
    running = claimed(house)
    assert line(house) == ([run_of(house, first)], [run_of(house, second)])
    fix = deploy(house, "fix", priority=1)
    house.deliver_chains()
    assert line(house)[1] == [run_of(house, fix), run_of(house, second)]
    end(house, running)
    (granted,) = house.dispatcher.take_runs()
    assert (f"run-{granted.run_id}", granted.urgent) == (run_of(house, fix), True)


def test_what_waits_for_a_slot_is_overtaken_only_by_what_is_urgent_within_the_stretch(
    house: House,
) -> None:
    own = [machine(name, "QA", roles=[name]) for name in ("a", "soon", "late")]
    steps = {m["name"]: [step("true\n", roles=m["roles"])] for m in own}
    house.apply(
        catalog(*(project(n, process=p) for n, p in steps.items()), machines=own, lifecycles=MANUAL)
    )
    for name in steps:
        house.releases.create(Wanted(name, "1.0"))
    deploy(house, "a")
    deploy(house, "soon", priority=1)
    house.deliver_chains()
    with house.database.write() as tx:
        tx.counters.draw(TICKET, STRETCH)
    deploy(house, "late", priority=1)
    house.deliver_chains()
    assert [(run.label.split()[0], run.urgent) for run in house.dispatcher.granted] == [
        ("a", False),
        ("soon", True),
        ("late", False),
    ]
    house.deliver_all()


def test_a_grant_that_no_worker_has_claimed_is_taken_back_for_what_is_urgent(house: House) -> None:
    ready(house, "a", "fix")
    first = deploy(house, "a")
    house.deliver_chains()
    (message,) = house.dispatcher.take_runs()
    fix = deploy(house, "fix", priority=1)
    house.deliver_chains()
    assert line(house) == ([run_of(house, fix)], [run_of(house, first)])
    assert house.execute(message) is None  # the message of the grant that was taken back is void
    assert house.detail(first).runs[0].state.value == "waiting"
    house.deliver_all()
    assert [house.detail(n).deployment.state.value for n in (first, fix)] == ["succeeded"] * 2


def test_a_void_message_starts_nothing_when_the_machine_is_free_again(house: House) -> None:
    ready(house, "a", "fix")
    first = deploy(house, "a")
    house.deliver_chains()
    (void,) = house.dispatcher.take_runs()
    deploy(house, "fix", priority=1)
    house.deliver_chains()
    (urgent,) = house.dispatcher.take_runs()
    house.execute(urgent)
    assert house.execute(void) is None
    (again,) = house.dispatcher.take_runs()
    assert again.granted_at > void.granted_at
    house.execute(again)
    house.deliver_all()
    assert house.detail(first).deployment.state.value == "succeeded"


def test_a_grant_that_was_taken_back_is_void_and_no_other_though_the_clock_of_redis_goes_back(
    house: House,
) -> None:
    ready(house, "a")
    number = deploy(house, "a")
    house.deliver_chains()
    (granted,) = house.dispatcher.take_runs()
    void = replace(granted, granted_at=granted.granted_at + timedelta(hours=1))
    with house.database.write() as tx:
        run = tx.runs.get(void.run_id)
        assert run is not None
        assert tx.claims.recall(run, void.granted_at, 0)
    assert house.execute(void) is None
    house.execute(granted)
    house.deliver_all()
    assert house.detail(number).deployment.state.value == "succeeded"


def test_what_runs_already_is_not_taken_back(house: House) -> None:
    ready(house, "a", "fix")
    deploy(house, "a")
    house.deliver_chains()
    running = claimed(house)
    fix = deploy(house, "fix", priority=5)
    house.deliver_chains()
    assert line(house) == ([f"run-{running.run.id}"], [run_of(house, fix)])
    end(house, running)


def test_a_project_and_its_phase_have_priorities_that_add_up(house: House) -> None:
    phases = [{"name": "QA", "manual": ["QA"], "priority": 1}]
    house.apply(
        catalog(project("a", "true\n", priority=2), lifecycles=[{"name": "auto", "phases": phases}])
    )
    house.releases.create(Wanted("a", "1.0"))
    assert house.detail(deploy(house, "a")).deployment.priority == 3


def test_somebody_may_change_the_priority_of_what_waits(house: House) -> None:
    ready(house, "a", "b", "c")
    numbers = [deploy(house, name) for name in "abc"]
    house.deliver_chains()
    running = claimed(house)
    house.order.prioritise(numbers[2], 1)
    runs = [run_of(house, n) for n in numbers]
    assert line(house)[1] == [runs[2], runs[1]]
    house.order.prioritise(numbers[2], -1)
    assert line(house)[1] == [runs[1], runs[2]]
    with pytest.raises(RequestError, match="from -5 to 5"):
        house.order.prioritise(numbers[1], 6)
    end(house, running)


def test_a_deployment_can_be_moved_to_the_top_and_the_last_one_moved_is_first(
    house: House,
) -> None:
    ready(house, "a", "b", "c")
    numbers = [deploy(house, name) for name in "abc"]
    house.deliver_chains()
    running = claimed(house)
    house.order.move_to_top(numbers[1])
    house.order.move_to_top(numbers[2])
    assert line(house)[1] == [run_of(house, numbers[2]), run_of(house, numbers[1])]
    end(house, running)
    house.deliver_all()
    with pytest.raises(HasEnded):
        house.order.move_to_top(numbers[1])


def test_the_order_is_the_same_after_redis_was_lost(house: House) -> None:
    ready(house, "a", "b", "c")
    numbers = [deploy(house, name) for name in "abc"]
    house.deliver_chains()
    running = claimed(house)
    house.order.move_to_top(numbers[2])
    before_it = line(house)
    house.redis.flushall()
    house.recovery.sweep()
    assert line(house) == before_it
    end(house, running)


# ---- shares ----


def test_a_share_bounds_how_many_scripts_of_an_environment_run_at_once(house: House) -> None:
    machines = [machine("m-[1:4]", "QA")]
    ready(house, "a", machines=machines, environments=[{"name": "QA", "share": 2}])
    number = deploy(house, "a")
    house.deliver_chains()
    assert len(house.dispatcher.granted) == 2
    (wait,) = house.waits.why(run_of(house, number).replace("run-1", "run-3"))
    assert (wait.reason.value, wait.waits_for) == ("task_cap", "share:environment/QA")
    house.deliver_all()
    assert house.detail(number).deployment.state.value == "succeeded"


def test_a_share_of_a_project_bounds_all_its_deployments_and_no_others(house: House) -> None:
    machines = [machine("m-[1:3]", "QA")]
    house.apply(
        catalog(
            project("a", process=[step("true\n", touches=["x"])], share=1),
            project("b", process=[step("true\n", touches=["y"])]),
            machines=machines,
            lifecycles=MANUAL,
        )
    )
    for name in ("a", "b"):
        house.releases.create(Wanted(name, "1.0"))
        deploy(house, name)
    house.deliver_chains()
    assert len(house.dispatcher.granted) == 1 + 3


def test_a_run_has_one_bound_the_machines_own_before_the_environments_before_the_projects(
    house: House,
) -> None:
    machines = [machine("m-1", "QA", max_concurrent=2), machine("m-2", "QA")]
    process = [step("true\n", touches=["x"])]
    house.apply(
        catalog(
            project("a", process=process, share=1),
            machines=machines,
            environments=[{"name": "QA", "share": 3}],
            lifecycles=MANUAL,
        )
    )
    house.releases.create(Wanted("a", "1.0"))
    deploy(house, "a")
    house.deliver_chains()
    bounds = [r for r in house.held() if r.startswith("share:")]
    assert bounds == ["share:environment/QA"]
    assert house.held()["share:environment/QA"] == (["run-2"], [])


# ---- supersede ----


def test_a_newer_release_takes_the_place_of_older_ones_that_wait_whole(house: House) -> None:
    house.apply(catalog(project("a", "true\n", supersede=True)))
    first = house.create("a", "1.0").id
    house.deliver_chains()  # has begun
    second = house.create("a", "2.0").id
    third = house.create("a", "3.0").id
    house.deliver_all()
    states = [house.detail(n).deployment.state.value for n in (first, second, third)]
    assert states == ["succeeded", "superseded", "succeeded"]
    assert house.detail(second).deployment.message == "superseded by 3.0"
    assert house.states(second) == ["cancelled"]
    assert house.held() == {}


# ---- grants that the database refuses ----

DB = [{"resource": "db", "everywhere": True}]


def _one_and_two(house: House) -> None:
    """``low`` works on q-1, ``two`` on q-1 and q-2, one after the other because of the database."""
    both = ["one", "two"]
    house.apply(
        catalog(
            project("low", process=[step("true\n", roles=["one"])]),
            project("two", process=[step("true\n", roles=both, touches=DB)]),
            machines=[machine("q-1", "QA", roles=["one"]), machine("q-2", "QA", roles=["two"])],
            lifecycles=MANUAL,
        )
    )
    for name in ("low", "two"):
        house.releases.create(Wanted(name, "1.0"))


def _comes_to_rest(house: House, *numbers: int) -> None:
    for _ in range(40):
        house.deliver_chains()
        for run in house.dispatcher.take_runs()[:1]:  # a slot at a time
            house.execute(run)
        house.clock.advance(5)
        house.recovery.sweep()
    assert [house.detail(n).deployment.state.value for n in numbers] == ["succeeded"] * len(numbers)


def test_a_refused_grant_and_those_before_it_do_not_push_each_other_in_for_ever(
    house: House,
) -> None:
    _one_and_two(house)
    low = deploy(house, "low", priority=-1)
    house.deliver_chains()  # let in, and its message waits for a slot
    two = deploy(house, "two")
    house.deliver_chains()  # an earlier ticket
    _comes_to_rest(house, low, two)


def test_an_earlier_ticket_that_reaches_redis_later_comes_in_all_the_same(house: House) -> None:
    _one_and_two(house)
    low, two = deploy(house, "low"), deploy(house, "two")
    chains = {links[0].deployment_id: links for links in house.dispatcher.take_chains()}

    def overtaken() -> None:  # its tickets are on record, and Redis has not heard of them yet
        with house.neighbour() as other:
            other.carry(chains[low])
            house.dispatcher.granted += other.dispatcher.take_runs()

    house.carry(chains[two][:1])
    house.database.meanwhile["open"] = overtaken
    house.carry(chains[two][1:])
    _comes_to_rest(house, low, two)


def test_another_priority_lets_nobody_in_who_comes_after_it(house: House) -> None:
    house.apply(
        catalog(
            project("r", process=[step("true\n", roles=["one"])]),
            project("a", process=[step("true\n", roles=["one"], touches=DB)]),
            project("b", process=[step("true\n", roles=["two"], touches=DB)]),
            machines=[machine("q-1", "QA", roles=["one"]), machine("q-2", "QA", roles=["two"])],
            lifecycles=MANUAL,
        )
    )
    numbers = {}
    for name in ("r", "a", "b"):  # a waits for the machine of r, and b behind a
        house.releases.create(Wanted(name, "1.0"))
        numbers[name] = deploy(house, name)
        house.deliver_chains()
    claimed(house)
    house.order.prioritise(numbers["a"], 2)
    assert house.dispatcher.granted == []


# ---- what waits for a slot ----


@pytest.mark.parametrize("how", ["top", "prioritise"])
def test_what_was_let_in_and_waits_for_a_slot_is_moved_as_well(house: House, how: str) -> None:
    names = ("a", "b", "c")
    house.apply(
        catalog(
            *(project(n, process=[step("true\n", roles=[n])]) for n in names),
            machines=[machine(n, "QA", roles=[n]) for n in names],
            lifecycles=MANUAL,
        )
    )
    for name in names:
        house.releases.create(Wanted(name, "1.0"))
    *_, last = [deploy(house, name) for name in names]
    house.deliver_chains()
    before = house.dispatcher.take_runs()
    assert [run.urgent for run in before] == [False] * 3
    if how == "top":
        house.order.move_to_top(last)
    else:
        house.order.prioritise(last, 5)
    (again,) = house.dispatcher.granted
    assert (again.urgent, again.run_id) == (True, before[2].run_id)
    assert house.execute(before[2]) is None, "its first message is void"
    house.deliver_all()
    assert house.detail(last).deployment.state == "succeeded"


def test_what_has_no_place_in_line_cannot_be_put_at_the_top(house: House) -> None:
    ready(house, "a")
    number = deploy(house, "a", not_before=house.clock.now() + timedelta(days=7))
    with pytest.raises(NotInLine, match=f"nothing of dep-{number} waits in line"):
        house.order.move_to_top(number)
    assert house.audit_trail.latest(10, action=Action.DEPLOYMENT_TOP) == []


def superseding(house: House, *versions: str, **parts: Any) -> None:
    """Releases of a project that supersedes, which go where somebody says."""
    house.apply(catalog(project("a", "true\n", supersede=True), **{"lifecycles": MANUAL, **parts}))
    for version in versions:
        house.releases.create(Wanted("a", version))


def ends(house: House, *numbers: int) -> list[str]:
    house.deliver_all()
    return [house.detail(number).deployment.state.value for number in numbers]


def test_one_that_has_begun_and_lines_up_again_after_an_approval_is_not_superseded(
    house: House,
) -> None:
    approve = {"name": "Approve", "kind": "manual", "instructions": "look at it"}
    process = [approve, step("true\n", "After")]
    house.apply(catalog(project("a", process=process, supersede=True)))
    first = house.create("a", "1.0").id
    house.deliver_all()
    house.releases.create(Wanted("a", "2.0"))
    (asked,) = house.queries.inbox()[:1]
    house.answers.answer(asked.run.id, Answer.PROCEED, "ann")
    assert house.detail(first).deployment.state == "queued"
    house.releases.create(Wanted("a", "3.0"))
    assert ends(house, first) == ["succeeded"]


def test_a_newer_release_that_is_deployed_in_part_takes_nobodys_place(house: House) -> None:
    two = [machine("qa-1", "QA"), machine("qa-2", "QA")]
    superseding(house, "1.0", "2.0", machines=two)
    older = house.deployments.deploy("a", "1.0", "QA").id
    part = Terms(selection=Selection(machines=("qa-1",)))
    newer = house.deployments.deploy("a", "2.0", "QA", part).id
    assert ends(house, older, newer) == ["succeeded", "succeeded"]


def test_an_older_release_that_is_asked_for_takes_no_newer_ones_place(house: House) -> None:
    superseding(house, "1.0", "2.0")
    newer = house.deployments.deploy("a", "2.0", "QA").id
    older = house.deployments.deploy("a", "1.0", "QA").id
    assert ends(house, newer, older) == ["succeeded", "succeeded"]


def test_a_newer_release_takes_nobodys_place_in_another_environment(house: House) -> None:
    phases = [{"name": "Test", "manual": ["QA", "Lab"]}]
    superseding(
        house,
        "1.0",
        "2.0",
        environments=["QA", "Lab"],
        machines=[machine("qa-1", "QA"), machine("lab-1", "Lab")],
        lifecycles=[{"name": "auto", "phases": phases}],
    )
    older = house.deployments.deploy("a", "1.0", "QA").id
    newer = house.deployments.deploy("a", "2.0", "Lab").id
    assert ends(house, older, newer) == ["succeeded", "succeeded"]


def test_a_newer_release_that_could_not_even_be_planned_takes_nobodys_place(house: House) -> None:
    def apply(*machines: dict[str, Any]) -> None:
        stages = [{"name": stage, "automatic": [stage]} for stage in ("QA", "Lab")]
        ways = [{"name": "auto", "phases": stages}]
        a = project("a", "true\n", supersede=True)
        environments = ["QA", "Lab"]
        house.apply(catalog(a, environments=environments, machines=list(machines), lifecycles=ways))

    apply(machine("qa-1", "QA"), machine("lab-1", "Lab"))
    house.create("a", "1.0")
    house.deliver_chains()
    house.deliver_runs()
    for links in house.dispatcher.take_chains():
        house.carry(links)  # it has succeeded in QA
    (older,) = (d.id for d in house.queries.deployments(environment="Lab"))
    house.dispatcher.lose()
    apply(machine("qa-1", "QA"))
    house.create("a", "2.0")
    house.deliver_all()
    assert [d.state for d in house.queries.deployments(environment="Lab")] == ["failed", "queued"]
    house.carry_on(older)
    assert ends(house, older) == ["succeeded"]
