"""Steps that one machine carries out on behalf of others."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.cli.documents import detail_document
from deployengine.domain.errors import UnknownName
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import bypassing, catalog, machine, project, step
from tests.engine.test_pick_up import look, until_lost
from tests.engine.test_step_runs import under_way
from tests.steps.gates import Gate
from tests.support.fakes import House

WEB_AND_LB = {
    "environments": ["QA", "Else"],
    "machines": [machine("web-[1:2]", "QA", roles=["web"]), machine("lb", "Else", roles=[])],
}
SAID = 'echo "$DEPLOYENGINE_STEP for $DEPLOYENGINE_MACHINE by #{Octopus.Machine.Name}" >> ran\n'
FOR_OTHERS = step(SAID, "Tell", runs_on="lb")


def ran(house: House, name: str) -> list[str]:
    path = house.workdir(name) / "ran"
    return path.read_text().splitlines() if path.exists() else []


def applied(house: House, *projects: dict[str, Any], **parts: Any) -> None:
    house.apply(catalog(*projects, **{**WEB_AND_LB, **parts}))


def test_it_runs_in_the_folder_of_the_other_machine_with_the_values_of_its_own(
    house: House,
) -> None:
    applied(house, project("app", process=[FOR_OTHERS]))
    number = house.create("app").id
    house.deliver_all()
    assert ran(house, "lb") == ["Tell for web-1 by web-1", "Tell for web-2 by web-2"]
    assert not house.workdir("web-1").exists()
    assert house.detail(number).deployment.state == "succeeded"
    assert house.held() == {}


def test_it_holds_the_other_machine_and_nothing_of_its_own(house: House) -> None:
    on_lb = project("there", process=[step(SAID)], lifecycle="else")
    lifecycles = [
        {"name": name, "phases": [{"name": env, "automatic": [env]}]}
        for name, env in (("auto", "QA"), ("else", "Else"))
    ]
    applied(
        house, project("app", process=[FOR_OTHERS]), project("own", SAID), on_lb,
        lifecycles=lifecycles,
    )  # fmt: skip
    for name in ("app", "own", "there"):
        house.create(name)
    house.deliver_chains()
    held = house.held()
    assert held["machine:lb"] == (["run-1"], ["run-2", "run-5"])
    assert held["machine:web-1"] == (["run-3"], [])
    house.deliver_all()
    assert ran(house, "lb")[-1] == "Install for lb by lb"


@pytest.mark.parametrize(
    ("more", "at_once"),
    [
        ({}, 1),
        ({"variables": [bypassing("True")]}, 2),
        ({"touches": ["conf"]}, 1),
        ({"touches": [{"resource": "conf", "mode": "shared"}]}, 2),
    ],
)
def test_it_shares_the_other_machine_by_the_usual_rule(
    house: House, more: dict[str, Any], at_once: int
) -> None:
    touches = {"touches": more["touches"]} if "touches" in more else {}
    process = [{**FOR_OTHERS, **touches}]
    applied(house, project("app", process=process, variables=more.get("variables", [])))
    house.create("app")
    house.deliver_chains()
    assert len(house.dispatcher.granted) == at_once
    house.deliver_all()
    assert len(ran(house, "lb")) == 2


def test_the_bound_is_that_of_the_other_machine(house: House) -> None:
    machines = [
        machine("web-[1:4]", "QA", max_concurrent=1),
        machine("lb", "Else", max_concurrent=3),
    ]
    applied(
        house, project("app", process=[FOR_OTHERS], variables=[bypassing("True")]),
        machines=machines,
    )  # fmt: skip
    house.create("app")
    house.deliver_chains()
    assert len(house.dispatcher.granted) == 3
    house.deliver_all()


def test_what_redis_lets_in_wrongly_the_database_refuses_there(house: House) -> None:
    applied(house, project("one", process=[FOR_OTHERS]), project("two", process=[FOR_OTHERS]))
    first, second = house.create("one").id, house.create("two").id
    house.deliver_chains()
    (granted,) = house.dispatcher.take_runs()
    claimed = house.step_runs.claims.claim(granted.run_id, granted.granted_at, "w")
    assert claimed is not None
    assert claimed.machine.name == "lb"
    (late,) = [r for r in house.detail(second).runs if r.machine == "web-1"]
    assert house.step_runs.claims.claim(late.id, granted.granted_at, "w") is None
    assert house.detail(first).runs[0].state == "running"


def test_a_deployment_that_holds_its_machines_holds_the_one_that_works_for_it(
    house: House,
) -> None:
    whole = project("whole", process=[step(SAID, "Install"), FOR_OTHERS], mutex="deployment")
    applied(house, whole, project("app", process=[FOR_OTHERS]))
    number = house.create("whole").id
    other = house.create("app").id
    house.deliver_chains()
    assert house.held()["machine:lb"][0] == [f"dep-{number}"]
    house.deliver_all()
    assert [house.detail(n).deployment.state for n in (number, other)] == ["succeeded"] * 2
    assert [line.partition(" ")[0] for line in ran(house, "lb")] == ["Tell"] * 4
    assert house.held() == {}


def test_whoever_looks_sees_where_it_runs_and_for_whom(house: House) -> None:
    applied(house, project("app", process=[FOR_OTHERS]))
    number = house.create("app").id
    house.deliver_chains()
    document = detail_document(house.detail(number))
    assert [(r["machine"], r["runs_on"], r["lock_mode"]) for r in document["step_runs"]] == [
        ("web-1", "lb", "exclusive"),
        ("web-2", "lb", "exclusive"),
    ]
    (lb,) = house.queries.locks("lb")
    labels = [*(each.label for each in lb.holders), *(each.label for each in lb.waiters)]
    assert [label.split(" · ")[1] for label in labels] == [
        "Tell on lb for web-1",
        "Tell on lb for web-2",
    ]
    (wait,) = (w for w in house.waits.why(f"dep-{number}") if w.waits_for == "machine:lb")
    assert (wait.label, wait.reason) == ("app 1.0 → QA · Tell on lb for web-2", "machine")
    assert house.queries.locks("web-1") == []


def test_another_worker_picks_it_up_where_it_runs(house: House, ready: Gate, go: Gate) -> None:
    script = 'echo "$DEPLOYENGINE_MACHINE" >> ran\necho > ../../../ready\nread -r _ < ../../../go\n'
    applied(
        house, project("app", process=[{**FOR_OTHERS, "script": script, "roles": ["web"]}]),
        machines=[machine("web-1", "QA"), machine("lb", "Else")],
    )  # fmt: skip
    number = house.create("app").id
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    with house.neighbour() as other:
        other.lease.beat()
        house.lease.beat()
        with under_way(house, run) as future:
            ready.hear()
            house.step_runs.let_go()
            assert future.result(30) is None
        until_lost(house, other)
        look(other)
        go.let()
        other.pick_up.join()
        other.deliver_all()
    assert ran(house, "lb") == ["web-1"]
    assert house.detail(number).deployment.state == "succeeded"
    assert list((house.settings.home / "tickets" / "lb").glob("run-*")) == []


def test_what_it_puts_out_is_an_output_of_the_machine_that_it_is_for(house: House) -> None:
    puts = step("set_output port \"80$(echo $DEPLOYENGINE_MACHINE | tail -c 2)\"\n", "Ask",
                runs_on="lb")  # fmt: skip
    reads = step('echo "#{Octopus.Action[Ask].Output.port}" >> ran\n', "Use")
    applied(house, project("app", process=[puts, reads]))
    house.create("app")
    house.deliver_all()
    assert [ran(house, f"web-{n}") for n in (1, 2)] == [["801"], ["802"]]


def test_a_machine_that_is_gone_when_somebody_deploys_is_told(house: House) -> None:
    applied(house, project("app", process=[{**FOR_OTHERS, "runs_on": "#{LB}"}],
                           variables=[{"name": "LB", "value": "lbs"}]))  # fmt: skip
    with pytest.raises(UnknownName, match="there is no machine for step Tell 'lbs'"):
        house.releases.create(Wanted("app", "1.0"))


@pytest.mark.parametrize(("target", "carrier"), [("ssh", "local"), ("local", "ssh")])
def test_its_ticket_is_seen_from_where_that_of_the_other_machine_is(
    house: House, target: str, carrier: str
) -> None:
    machines = [
        machine("web-1", "QA", connection={"kind": target}),
        machine("lb", "Else", connection={"kind": carrier}),
    ]
    applied(house, project("app", process=[FOR_OTHERS]), machines=machines)
    (run,) = house.detail(house.create("app").id).runs
    assert run.seen_anywhere is (carrier == "ssh")
