"""``mutex: deployment``: a machine is held from the deployment's first step there to its last."""

from __future__ import annotations

from typing import Any

from deployengine.domain.identity import parse
from deployengine.engine.ports import GrantedRun
from deployengine.engine.questions import Answer
from deployengine.persistence.counters import GENERATION
from tests.acceptance.catalogs import bypassing, catalog, machine, project, step
from tests.support.fakes import House

SAID = 'echo "$DEPLOYENGINE_PROJECT $DEPLOYENGINE_STEP" >> ran\n'
TWO = [step(SAID, "Fetch"), step(SAID, "Install")]


def whole(name: str = "whole", process: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return project(name, process=process or TWO, mutex="deployment")


WEB_AND_DB = [machine("web-1", "QA", roles=["web"]), machine("db-1", "QA", roles=["db"])]


def ran(house: House, name: str) -> list[str]:
    return (house.workdir(name) / "ran").read_text().splitlines()


def state(house: House, number: int) -> str:
    return house.detail(number).deployment.state.value


def test_nobody_comes_between_two_steps_of_such_a_deployment(house: House) -> None:
    house.apply(catalog(whole(), project("app", SAID)))
    first, other = house.create("whole").id, house.create("app").id
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    assert house.held()["machine:qa-1"] == ([f"dep-{first}"], ["run-3"])
    house.execute(run)
    house.deliver_all()
    assert (house.workdir("qa-1") / "ran").read_text().splitlines() == [
        "whole Fetch",
        "whole Install",
        "app Install",
    ]
    assert [state(house, n) for n in (first, other)] == ["succeeded"] * 2
    assert house.held() == {}


def test_it_waits_for_all_its_machines_at_once_and_holds_none_meanwhile(house: House) -> None:
    machines = [machine("m-[1:2]", "QA")]
    house.apply(catalog(project("app", SAID), whole(), machines=machines))
    house.create("app")
    house.deliver_chains()
    one, two = house.dispatcher.take_runs()
    late = house.create("whole").id
    house.deliver_chains()
    assert state(house, late) == "queued"
    house.execute(one)
    assert house.held()["machine:m-1"] == ([], [f"dep-{late}"])
    house.execute(two)
    house.deliver_all()
    assert state(house, late) == "succeeded"


def test_two_that_bypass_share_their_machines(house: House) -> None:
    shared = [bypassing("True")]
    projects = [{**whole(name), "variables": shared} for name in ("a", "b")]
    house.apply(catalog(*projects))
    for name in "ab":
        house.create(name)
    house.deliver_chains()
    assert len(house.dispatcher.granted) == 2


def test_while_people_decide_the_machines_are_free(house: House) -> None:
    approve = {"name": "Approve", "kind": "manual", "instructions": "look"}
    house.apply(catalog(whole(process=[TWO[0], approve, TWO[1]]), project("app", SAID)))
    number = house.create("whole").id
    house.deliver_all()
    other = house.create("app").id
    house.deliver_all()
    assert [state(house, n) for n in (number, other)] == ["paused", "succeeded"]
    house.answers.answer(2, Answer.PROCEED, "ann")
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_what_redis_lets_in_wrongly_the_database_refuses(house: House) -> None:
    house.apply(catalog(whole(), project("app", SAID)))
    number = house.create("whole").id
    house.deliver_chains()
    (own,) = house.dispatcher.take_runs()
    house.create("app")
    house.deliver_chains()
    house.locks.release(house.handoff._known_generation(), [f"dep-{number}"])
    (wrong,) = [run for run in _granted(house) if run.run_id != own.run_id]
    assert house.execute(wrong) is None
    house.execute(own)
    house.deliver_all()
    assert (house.workdir("qa-1") / "ran").read_text().splitlines() == [
        "whole Fetch",
        "whole Install",
        "app Install",
    ]


def test_its_steps_for_failures_come_before_anybody_else_on_each_of_its_machines(
    house: House,
) -> None:
    process = [
        step(SAID + "exit 1\n", "Install", roles=["web"]),
        step(SAID, "Undo", condition="failure"),
    ]
    house.apply(catalog(whole(process=process), project("app", SAID), machines=WEB_AND_DB))
    house.create("whole")
    house.create("app")
    house.deliver_all()
    assert ran(house, "web-1") == ["whole Install", "whole Undo", "app Install"]
    assert ran(house, "db-1") == ["whole Undo", "app Install"]


def test_what_redis_lets_in_wrongly_between_two_steps_the_database_refuses(house: House) -> None:
    process = [step(SAID, "Fetch", roles=["web"]), step(SAID, "Install", roles=["db"])]
    app = project("app", process=[step(SAID, roles=["db"])])
    house.apply(catalog(whole(process=process), app, machines=WEB_AND_DB))
    number = house.create("whole").id
    house.create("app")
    house.deliver_chains()
    (own,) = house.dispatcher.take_runs()
    house.locks.release(house.handoff._known_generation(), [f"dep-{number}"])
    (wrong,) = [run for run in _granted(house) if run.run_id != own.run_id]
    assert house.execute(wrong) is None
    house.execute(own)
    house.deliver_all()
    assert ran(house, "db-1") == ["whole Install", "app Install"]


def test_what_a_later_step_touches_nobody_else_touches_before_although_redis_lets_him(
    house: House,
) -> None:
    billing = [{"resource": "billing", "everywhere": True}]
    process = [
        step(SAID, "Fetch", roles=["web"]),
        step(SAID, "Install", roles=["web"], touches=billing),
    ]
    app = project("app", process=[step(SAID, roles=["db"], touches=billing)])
    house.apply(catalog(whole(process=process), app, machines=WEB_AND_DB))
    number = house.create("whole").id
    house.create("app")
    house.deliver_chains()
    (own,) = house.dispatcher.take_runs()
    house.locks.release(house.handoff._known_generation(), [f"dep-{number}"])
    (wrong,) = [run for run in _granted(house) if run.run_id != own.run_id]
    assert house.execute(wrong) is None
    assert not (house.workdir("db-1") / "ran").exists()
    house.execute(own)
    house.deliver_all()
    assert ran(house, "db-1") == ["app Install"]


def test_it_does_not_begin_while_a_script_of_another_runs_on_its_machine_whoever_says_so(
    house: House,
) -> None:
    house.apply(catalog(project("app", SAID), whole()))
    house.create("app")
    house.deliver_chains()
    (granted,) = house.dispatcher.take_runs()
    running = house.step_runs.claims.claim(granted.run_id, granted.granted_at, "somebody")
    assert running is not None
    late = house.create("whole").id
    assert not house.phases.begin(late)
    assert state(house, late) == "queued"


def test_two_of_them_that_redis_lets_in_together_begin_one_after_the_other(house: House) -> None:
    house.apply(catalog(whole("a"), whole("b")))
    first, second = house.create("a").id, house.create("b").id
    house.phases.begin(first)
    assert not house.phases.begin(second)
    assert state(house, second) == "queued"
    house.carry_on(first)
    house.deliver_all()
    assert [state(house, n) for n in (first, second)] == ["succeeded"] * 2


def test_redis_may_be_lost_in_the_midst(house: House) -> None:
    house.apply(catalog(whole(), project("app", SAID)))
    number = house.create("whole").id
    house.create("app")
    house.deliver_chains()
    before = house.held()
    house.redis.flushall()
    house.recovery.sweep()
    assert house.held() == before
    house.deployments.cancel(number)
    house.deliver_all()
    assert house.held() == {}


def _granted(house: House) -> list[Any]:
    return [
        GrantedRun(parse(grant.request_id)[1], grant.granted_at, grant.label)
        for grant in house.locks.grants()
        if grant.request_id.startswith("run-")
    ]


def test_it_does_not_begin_while_somebody_elsewhere_touches_what_it_is_to_hold(
    house: House,
) -> None:
    touches = [{"resource": "db", "everywhere": True}]
    house.apply(
        catalog(
            project("app", process=[step("true\n", roles=["x"], touches=touches)]),
            project(
                "whole",
                process=[step("true\n", roles=["y"], touches=touches)],
                mutex="deployment",
            ),
            machines=[machine("m-1", "QA", roles=["x"]), machine("m-2", "QA", roles=["y"])],
        )
    )
    house.create("app")
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    assert house.step_runs.claims.claim(run.run_id, run.granted_at, "somebody")
    whole = house.create("whole").id
    with house.database.read() as tx:
        generation = tx.counters.value(GENERATION)
    house.locks.release(generation, [f"run-{run.run_id}"])  # it has lost the truth
    assert not house.phases.begin(whole)
