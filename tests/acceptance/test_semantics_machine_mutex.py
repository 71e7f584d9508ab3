"""The machine mutex: what each row of its meaning says, on real workers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psutil

from tests.acceptance.catalogs import (
    BEGIN,
    BYPASS,
    END,
    HELD,
    SHORT,
    bypassing,
    catalog,
    machine,
    project,
    step,
)
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until
from tests.support.witnesses import RedisCommands, content

MACHINE = "machine:qa-1"
TRUE = [bypassing("True")]
WEB = [machine("qa-1", "QA", roles=["web"]), machine("qa-2", "QA", roles=["db"])]


def held(name: str, **more: Any) -> dict[str, Any]:
    """A project whose script waits at its gate, on the machines with the role web."""
    return project(name, process=[step(HELD, roles=["web"], **more)])


def bypassed(name: str, script: str = HELD, value: str = "True") -> dict[str, Any]:
    return project(name, script, variables=[bypassing(value)])


def in_order(engine: LiveEngine, *projects: str) -> None:
    """Creates a release of each, the next one when the one before is in line for qa-1."""
    for place, name in enumerate(projects, start=1):
        engine.create(name)
        until(lambda place=place: sum(map(len, engine.line(MACHINE))) == place, f"{name} in line")


def beginnings(engine: LiveEngine, name: str = "qa-1") -> list[tuple[str, str]]:
    """Project and step of each script that has begun on a machine, in order."""
    return [(e.project, e.step) for e in engine.journal(name) if e.event == "begin"]


def modes(engine: LiveEngine, deployment: int) -> dict[tuple[str, str], str]:
    """In which mode each step took each machine."""
    detail = engine.detail(deployment)
    return {(detail.steps[run.step], run.machine): run.lock_mode for run in detail.runs}


# ---- what it is, what it is held for ----


def test_what_it_is_a_reader_writer_lock_exclusive_by_default_or_shared_in_redis_keyed_by_machine(
    running: LiveEngine,
) -> None:
    gates = {name: running.gate(name) for name in ("writer", "reader-1", "reader-2", "elsewhere")}
    readers = [{**held(name), "variables": TRUE} for name in ("reader-1", "reader-2")]
    elsewhere = project("elsewhere", process=[step(HELD, roles=["db"])])
    running.apply(catalog(held("writer"), *readers, elsewhere, machines=WEB))
    in_order(running, "writer", "reader-1", "reader-2")
    running.await_inside("qa-1", "writer")
    assert running.line(MACHINE) == (["writer"], ["reader-1", "reader-2"])
    running.create("elsewhere")
    running.await_inside("qa-2", "elsewhere")
    assert MACHINE.encode() in content(running.services.redis)
    gates["writer"].open()
    running.await_inside("qa-1", "reader-1", "reader-2")
    assert running.line(MACHINE) == (["reader-1", "reader-2"], [])


def test_held_for_one_script_one_step_on_one_machine_other_projects_steps_interleave_between_steps(
    running: LiveEngine,
) -> None:
    gate = running.gate("steps")
    two = [step(HELD, "One"), step(SHORT, "Two")]
    running.apply(catalog(project("steps", process=two), project("between")))
    in_order(running, "steps", "between")
    running.await_inside("qa-1", "steps")
    gate.open()
    until(lambda: len(beginnings(running)) == 3, "all scripts")
    assert beginnings(running) == [("steps", "One"), ("between", "Install"), ("steps", "Two")]


def test_a_project_may_ask_mutex_deployment_held_from_its_first_step_there_to_its_last(
    running: LiveEngine,
) -> None:
    gate = running.gate("whole")
    two = [step(HELD, "One"), step(SHORT, "Two")]
    running.apply(catalog(project("whole", process=two, mutex="deployment"), project("after")))
    running.create("whole")
    running.await_inside("qa-1", "whole")
    running.create("after")
    running.await_line(MACHINE, ["whole"], "after")
    gate.open()
    until(lambda: len(beginnings(running)) == 3, "all scripts")
    assert beginnings(running) == [("whole", "One"), ("whole", "Two"), ("after", "Install")]


# ---- the bypass ----


def test_octopus_bypass_deployment_mutex_true_turns_exclusive_into_shared_per_step(
    running: LiveEngine,
) -> None:
    variables = [bypassing("True", steps=["Free"])]
    process = [step(SHORT, "Careful"), step(SHORT, "Free")]
    running.apply(catalog(project("per-step", process=process, variables=variables)))
    (deployment,) = running.create("per-step")
    assert running.await_end(deployment.id) == "succeeded"
    assert modes(running, deployment.id) == {
        ("Careful", "qa-1"): "exclusive",
        ("Free", "qa-1"): "shared",
    }


def test_the_bypass_may_stand_in_the_projects_variables_or_in_an_included_set_scoped_like_any(
    running: LiveEngine,
) -> None:
    stages = ("QA", "Production")
    shared = [bypassing("True", environments=["QA"], machines=["qa-1"])]
    own = [bypassing("True", environments=["QA"], roles=["db"])]
    running.apply(
        catalog(
            project("scoped", include=["Shared"], variables=own),
            environments=list(stages),
            machines=[
                machine("qa-1", "QA"),
                machine("qa-2", "QA", roles=["db"]),
                machine("qa-3", "QA"),
                machine("prod-1", "Production", roles=["db"]),
            ],
            lifecycles=[
                {"name": "auto", "phases": [{"name": s, "automatic": [s]} for s in stages]}
            ],
            variable_sets=[{"name": "Shared", "variables": shared}],
        )
    )
    running.batch(["scoped"], "scoped")
    assert running.await_batch("scoped") == "succeeded"
    found = [modes(running, d.id) for d in running.services.queries.deployments("scoped")]
    assert {machine: mode for each in found for (_, machine), mode in each.items()} == {
        "qa-1": "shared",
        "qa-2": "shared",
        "qa-3": "exclusive",
        "prod-1": "exclusive",
    }


def test_the_bypass_is_frozen_in_the_release_a_difference_is_warned_of_and_refresh_takes_todays(
    running: LiveEngine, say: Say
) -> None:
    by_hand = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
    deploy = ("release", "deploy", "frozen", "1.0", "QA", "--wait")

    def today(value: str) -> None:
        running.apply(catalog(bypassed("frozen", SHORT, value), lifecycles=by_hand))

    today("True")
    say("release", "create", "frozen", "1.0")
    today("False")
    assert f"{BYPASS} is not today's in frozen 1.0" in say(*deploy).err
    assert say("release", "refresh-variables", "frozen", "1.0").code == 0
    assert BYPASS not in say(*deploy).err
    deployed = running.services.queries.deployments("frozen")
    assert [set(modes(running, d.id).values()) for d in deployed] == [{"exclusive"}, {"shared"}]


def test_mixed_adoption_t_t_f_t_t_1_and_2_run_together_3_waits_for_both_4_and_5_wait_for_3(
    running: LiveEngine,
) -> None:
    five = {"p1": "True", "p2": "True", "p3": "False", "p4": "True", "p5": "True"}
    gates = {name: running.gate(name) for name in five}
    running.apply(catalog(*(bypassed(name, HELD, value) for name, value in five.items())))
    in_order(running, *five)

    running.await_inside("qa-1", "p1", "p2")
    assert running.line(MACHINE) == (["p1", "p2"], ["p3", "p4", "p5"])
    gates["p1"].open()
    running.await_inside("qa-1", "p2")
    running.await_line(MACHINE, ["p2"], "p3", "p4", "p5")
    gates["p2"].open()
    running.await_inside("qa-1", "p3")
    assert running.line(MACHINE) == (["p3"], ["p4", "p5"])
    gates["p3"].open()
    running.await_inside("qa-1", "p4", "p5")
    gates["p5"].open()
    running.await_inside("qa-1", "p4")
    gates["p4"].open()
    running.await_inside("qa-1")

    # The machine's own journal has the last word: who was there when each began.
    beside: dict[str, set[str]] = {}
    inside: set[str] = set()
    for entry in running.journal("qa-1"):
        if entry.event == "begin":
            beside[entry.project] = set(inside)
            inside.add(entry.project)
        else:
            inside.remove(entry.project)
    assert beside["p1"] | beside["p2"] <= {"p1", "p2"}
    assert beside["p3"] == set()
    assert beside["p4"] | beside["p5"] <= {"p4", "p5"}


# ---- order, and what waiting costs ----


def test_order_first_come_first_served_always_no_barging_no_starvation_of_either_mode(
    running: LiveEngine,
) -> None:
    values = {"s1": "True", "x2": "False", "s3": "True", "x4": "False", "s5": "True"}
    gates = {name: running.gate(name) for name in values}
    running.apply(catalog(*(bypassed(name, HELD, value) for name, value in values.items())))
    in_order(running, *values)
    line = list(values)
    for place, name in enumerate(line):
        running.await_inside("qa-1", name)
        for _ in range(3):  # whoever keeps house moves nobody
            running.services.recovery.sweep()
        assert running.line(MACHINE) == ([name], line[place + 1 :])
        gates[name].open()
    running.await_inside("qa-1")
    assert running.begun("qa-1") == line


def test_where_a_waiter_sits_nowhere_it_costs_no_slot_no_thread_no_poll_no_message(
    running: LiveEngine,
) -> None:
    crowd = [f"parked-{number:02}" for number in range(1, 31)]
    running.gate("in-front")
    running.apply(
        catalog(
            held("in-front"),
            project("parked-[01:30]", process=[step(SHORT, roles=["web"])]),
            project("free-[1:8]", process=[step(SHORT, roles=["db"])]),
            machines=WEB,
        )
    )
    running.create("in-front")
    running.await_inside("qa-1", "in-front")
    before = _threads(running)

    running.batch(crowd, "parked")
    until(lambda: running.line(MACHINE) == (["in-front"], crowd), "thirty in line")

    assert _threads(running) == before
    backlog = running.services.dispatcher.backlog()
    assert (backlog.links, backlog.runs) == (0, 0)
    parked = [d for d in running.deployments() if d.project in crowd]
    names = [rf"run-{run.id}\b".encode() for d in parked for run in running.detail(d.id).runs]
    with RedisCommands(running.settings.redis_dir / "redis.sock") as commands:
        until(lambda: commands.seen.count(b'"HLEN"') >= 3, "housekeeping has looked thrice")
        assert not [name for name in names if re.search(name, commands.seen)]
    running.batch([f"free-{number}" for number in range(1, 9)], "free")
    assert running.await_batch("free") == "succeeded"
    assert running.line(MACHINE) == (["in-front"], crowd)


def _threads(engine: LiveEngine) -> int:
    """The threads of all processes but scripts."""
    pids = [int(line.split()[0]) for line in engine.living() if "-m workers" in line]
    return sum(psutil.Process(pid).num_threads() for pid in pids)


def test_who_tells_why_holders_mode_since_when_the_place_in_the_queue_and_the_expected_start(
    running: LiveEngine, say: Say
) -> None:
    names = ("first", "second", "third")
    for name in names:
        running.gate(name)
    running.apply(catalog(project("before"), *(project(n, HELD) for n in names)))
    (earlier,) = running.create("before")
    running.await_end(earlier.id)  # so that it is known how long it takes there
    deployments = [d for name in names for d in running.create(name)]
    running.await_inside("qa-1", "first")
    running.await_line(MACHINE, ["first"], "second", "third")

    (second,) = say("why", f"dep-{deployments[1].id}", "--json").document
    (third,) = say("why", f"dep-{deployments[2].id}", "--json").document
    (locked,) = say("locks", "qa-1", "--json").document

    (holder,) = second["holders"]
    shown = say("deployment", "show", f"dep-{deployments[0].id}", "--json").document
    (first,) = shown["step_runs"]
    assert (second["reason"], second["position"], third["position"]) == ("machine", 1, 2)
    assert (holder["run"], holder["mode"]) == (first["id"], "exclusive")
    assert first["ready_at"] <= holder["since"] <= first["started_at"]
    assert third["holders"] == second["holders"]
    assert second["expected_start"] < third["expected_start"]
    assert locked["resource"] == MACHINE
    assert locked["holders"] == second["holders"]
    assert [(w["run"], w["mode"], w["position"]) for w in locked["waiters"]] == [
        (second["run"], "exclusive", 1),
        (third["run"], "exclusive", 2),
    ]
    # Who is parked and cancelled frees the place at once: the one behind moves up.
    running.services.deployments.cancel(deployments[1].id)
    running.await_line(MACHINE, ["first"], "third")
    (moved,) = running.services.waits.why(f"dep-{deployments[2].id}")
    assert moved.position == 1


# ---- the tag ----


def test_same_project_and_same_environment_twice_never_in_parallel_whatever_the_bypass_says(
    running: LiveEngine,
) -> None:
    gate = running.gate("twice")
    running.apply(catalog(bypassed("twice")))
    (first,) = running.create("twice", version="1.0")
    running.await_inside("qa-1", "twice")
    (second,) = running.create("twice", version="2.0")

    (wait,) = running.services.waits.why(f"dep-{second.id}")

    assert (wait.reason, wait.position) == ("tag", 1)
    assert [h.id for h in wait.holders] == [f"dep-{first.id}"]
    assert running.detail(second.id).deployment.state == "queued"
    gate.open()
    until(lambda: running.begun("qa-1") == ["twice", "twice"], "the second is let in")
    gate.open()
    assert running.await_end(second.id) == "succeeded"
    order = [(e.event, e.version) for e in running.journal("qa-1")]
    assert order == [("begin", "1.0"), ("end", "1.0"), ("begin", "2.0"), ("end", "2.0")]


def test_octopus_task_concurrency_tag_changes_the_key_a_waiter_on_the_tag_costs_nothing_either(
    running: LiveEngine,
) -> None:
    tag = {"name": "Octopus.Task.ConcurrencyTag", "value": "billing"}
    tagged = [project(name, HELD, variables=[*TRUE, tag]) for name in ("tagged-1", "tagged-2")]
    for name in ("tagged-1", "tagged-2", "untagged"):
        running.gate(name)
    running.apply(catalog(*tagged, bypassed("untagged")))
    running.create("tagged-1")
    running.await_inside("qa-1", "tagged-1")
    (second,) = running.create("tagged-2")
    running.create("untagged")
    running.await_inside("qa-1", "tagged-1", "untagged")
    assert running.line("tag:billing") == (["tagged-1"], ["tagged-2"])
    assert [w.reason.value for w in running.services.waits.why(f"dep-{second.id}")] == ["tag"]
    assert [run.state.value for run in running.detail(second.id).runs] == ["pending"]
    assert running.services.dispatcher.backlog().runs == 0


# ---- how many, and which ----


def test_n_at_once_per_machine_max_concurrent_n_at_most_n_shared_holders(
    running: LiveEngine,
) -> None:
    names = [f"n-{number}" for number in range(1, 6)]
    gates = {name: running.gate(name) for name in names}
    two = [machine("qa-1", "QA", max_concurrent=2)]
    running.apply(catalog(*(bypassed(n) for n in names), machines=two))
    running.create(*names)

    for passed in range(1, 6):
        there = min(2, 6 - passed)
        until(lambda there=there: len(running.inside("qa-1")) == there, f"{there} on qa-1")
        gates[min(running.inside("qa-1"))].open()
        until(lambda passed=passed: _ended(running) == passed, f"{passed} ended")

    inside, most = 0, 0
    for entry in running.journal("qa-1"):
        inside += 1 if entry.event == "begin" else -1
        most = max(most, inside)
    assert most == 2
    assert sorted(running.begun("qa-1")) == names


def _ended(engine: LiveEngine) -> int:
    return sum(entry.event == "end" for entry in engine.journal("qa-1"))


def test_only_the_steps_that_clash_what_a_step_touches_it_takes_and_the_machine_shared(
    running: LiveEngine,
) -> None:
    touched: dict[str, Any] = {
        "web": "iis",
        "files": {"resource": "disk", "mode": "shared"},
        "site": "iis",
        "reader": {"resource": "disk", "mode": "shared"},
    }
    gates = {name: running.gate(name) for name in touched}
    running.apply(
        catalog(*(project(n, process=[step(HELD, touches=[t])]) for n, t in touched.items()))
    )
    running.create("web")
    running.await_inside("qa-1", "web")
    (site,) = running.create("site")
    running.create("files", "reader")

    running.await_inside("qa-1", "web", "files", "reader")

    (wait,) = running.services.waits.why(f"dep-{site.id}")
    assert (wait.reason, wait.position) == ("resource", 1)
    assert "iis" in wait.waits_for
    gates["web"].open()
    running.await_inside("qa-1", "files", "reader", "site")
    assert set(modes(running, site.id).values()) == {"shared"}


def test_several_locks_at_once_all_or_nothing_ticket_order_no_deadlock_by_construction(
    running: LiveEngine,
) -> None:
    def ring(name: str, *resources: str, script: str = HELD) -> dict[str, Any]:
        touches = [{"resource": each, "everywhere": True} for each in resources]
        return project(name, process=[step(script, touches=touches)])

    gates = {name: running.gate(name) for name in ("one", "both", "free")}
    running.apply(
        catalog(
            ring("one", "a"),
            ring("both", "b", "a"),
            ring("later", "b", script=SHORT),
            ring("free", "c"),
            *(ring(f"ring-{n}", *pair, script=SHORT) for n, pair in enumerate(("ab", "bc", "ca"))),
        )
    )
    running.create("one")
    running.await_inside("qa-1", "one")
    running.create("both")
    running.await_line("resource:a", ["one"], "both")
    assert running.line("resource:b") == ([], ["both"]), "it holds nothing while it waits"
    running.create("later", "free")
    running.await_inside("qa-1", "one", "free")
    running.await_line("resource:b", [], "both", "later")
    gates["one"].open()
    running.await_inside("qa-1", "both", "free")
    gates["both"].open()
    gates["free"].open()
    running.batch([f"ring-{n}" for n in range(3)], "ring")
    assert running.await_batch("ring") == "succeeded"
    assert running.begun("qa-1")[:4] == ["one", "free", "both", "later"]


# ---- released ----

#: A script whose grandchild would outlive it, were only the script itself ended.
WITH_GRANDCHILD = (
    BEGIN
    + """
sh -c 'sh -c "echo \\$\\$ > grandchild; read -r _ < $SCRATCH/family" & wait' &
read -r _ < "$SCRATCH/family"
"""
    + END
)


def test_released_on_cancel_never_while_the_script_may_still_be_running_on_the_machine(
    running: LiveEngine,
) -> None:
    running.gate("family")
    running.apply(catalog(project("family", WITH_GRANDCHILD), project("next")))
    (family,) = running.create("family")
    note = running.home / "machines" / "qa-1" / "grandchild"
    until(lambda: note.exists() and note.read_text().endswith("\n"), "the grandchild lives")
    grandchild = int(note.read_text())
    assert psutil.pid_exists(grandchild)
    (after,) = running.create("next")
    running.await_line(MACHINE, ["family"], "next")

    running.services.deployments.cancel(family.id)

    assert running.await_end(family.id) == "cancelled"
    assert not _lives(grandchild)
    assert running.await_end(after.id) == "succeeded"
    assert [(e.event, e.project) for e in running.journal("qa-1")] == [
        ("begin", "family"),
        ("begin", "next"),
        ("end", "next"),
    ]


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_released_on_worker_death_never_while_the_script_may_still_be_running() -> None:
    with LiveEngine(DEPLOYENGINE_LEASE="1.5") as engine:
        gate = engine.gate("orphan")
        engine.apply(catalog(project("orphan", HELD), project("heir")))
        worker = engine.worker()
        engine.create("orphan")
        engine.await_inside("qa-1", "orphan")
        engine.create("heir")
        engine.await_line(MACHINE, ["orphan"], "heir")
        worker.kill()
        worker.wait()
        second = engine.worker()
        until(lambda: str(second.pid) in _worker_of(engine, "orphan"), "it is picked up")
        assert engine.line(MACHINE) == (["orphan"], ["heir"])
        gate.open()
        until(lambda: all(d.state == "succeeded" for d in engine.deployments()), "both succeed")
        assert [(e.event, e.project) for e in engine.journal("qa-1")] == [
            ("begin", "orphan"),
            ("end", "orphan"),
            ("begin", "heir"),
            ("end", "heir"),
        ]


def _worker_of(engine: LiveEngine, name: str) -> str:
    (deployment,) = engine.services.queries.deployments(name)
    (run,) = engine.detail(deployment.id).runs
    return run.worker or ""
