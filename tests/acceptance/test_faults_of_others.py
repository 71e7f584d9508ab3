"""Faults that other products are known for, each of which must not be one here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deployengine.domain.errors import Unreachable
from tests.acceptance.catalogs import (
    BEGIN,
    BYPASS,
    HELD,
    SHORT,
    bypassing,
    catalog,
    held_at,
    machine,
    project,
    step,
    three_stages,
)
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until
from tests.support.fakes import House

STAGES = ("QA", "Staging", "Production")
TRUE = [bypassing("True")]
BY_HAND = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]


@pytest.fixture(scope="module")
def installation() -> Iterator[LiveEngine]:
    """An engine with one worker of five slots, in which a cancel waits long for scripts to end."""
    with LiveEngine(DEPLOYENGINE_CANCEL_GRACE="60") as live:
        live.worker(task_cap=5)
        yield live


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[House]:
    """An engine whose messages and answers get lost when a test says so."""
    with House(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        yield house


def where(engine: LiveEngine | House, name: str, version: str = "1.0") -> list[tuple[str, str]]:
    """Environment and state of the release's deployments, the oldest first."""
    found = engine.services if isinstance(engine, LiveEngine) else engine
    return [
        (d.environment, d.state.value) for d in found.queries.release(name, version).deployments
    ]


def succeeded(*environments: str) -> list[tuple[str, str]]:
    return [(environment, "succeeded") for environment in environments]


def await_all_stages(engine: LiveEngine, name: str, version: str) -> None:
    until(lambda: where(engine, name, version) == succeeded(*STAGES), f"{name} {version} is there")


def versions(engine: LiveEngine, name: str) -> list[str]:
    """The releases whose scripts have begun on a machine, in order."""
    return [entry.version for entry in engine.journal(name) if entry.event == "begin"]


# ---- promotion ----


@pytest.mark.parametrize("lost", ["its message", "its answer", "redis", "what it sends"])
def test_no_promotion_is_lost_to_a_race_between_event_and_state(house: House, lost: str) -> None:
    house.apply(three_stages(project("app", "true\n")))
    house.create("app")
    house.deliver_chains()
    house.deliver_runs()  # what is left of QA is its last link
    if lost == "its message":
        house.dispatcher.lose()
    elif lost == "its answer":
        house.database.unanswered.append("finish")
        with pytest.raises(Unreachable):
            house.deliver_chains()
        house.deliver_chains()
    elif lost == "redis":
        house.redis.flushall()
    else:
        house.deliver_chains()
        house.dispatcher.lose()
    for _ in range(6):
        house.recovery.sweep()
        house.clock.advance(60)
        house.deliver_all()
    assert where(house, "app") == succeeded(*STAGES)


def test_no_old_version_is_automatically_deployed_over_a_new_one_that_overtook_it(
    running: LiveEngine, say: Say
) -> None:
    gate = running.gate("overtaken")
    running.apply(catalog(project("overtaken", HELD)))
    running.create("overtaken", version="1")
    running.await_inside("qa-1", "overtaken")
    running.create("overtaken", version="2")
    (newest,) = running.create("overtaken", version="3")
    assert say("deployment", "top", f"dep-{newest.id}").code == 0
    gate.open(3)
    assert running.await_end(newest.id) == "succeeded"
    until(lambda: where(running, "overtaken", "2") == [("QA", "superseded")], "2 makes way")
    assert versions(running, "qa-1") == ["1", "3"]
    assert "the newer release 3 is there" in say("release", "show", "overtaken", "2").out


def test_no_old_version_is_automatically_promoted_over_a_new_one(
    running: LiveEngine, say: Say
) -> None:
    phases = [{"name": "QA", "manual": ["QA"]}, {"name": "Staging", "automatic": ["Staging"]}]
    there = three_stages(project("late"))
    running.apply({**there, "lifecycles": [{"name": "auto", "phases": phases}]})
    for version in ("1.0", "2.0"):
        say("release", "create", "late", version)
    assert say("release", "deploy", "late", "2.0", "QA", "--wait").code == 0
    until(lambda: where(running, "late", "2.0") == succeeded("QA", "Staging"), "2.0 is there")
    assert say("release", "deploy", "late", "1.0", "QA", "--wait").code == 0
    assert where(running, "late") == succeeded("QA")
    assert "not promoted to Staging: the newer release 2.0 is there" in (
        say("release", "show", "late", "1.0").out
    )


def test_no_edit_of_a_lifecycle_breaks_queued_work_the_one_that_the_chain_began_with_is_used(
    running: LiveEngine,
) -> None:
    gate = running.gate("edited")
    running.apply(three_stages(project("edited", HELD)))
    running.create("edited", version="1.0")
    running.await_inside("qa-1", "edited")
    running.create("edited", version="2.0")
    # The lifecycle goes, and so does the project; machines and environments stay.
    other = [{"name": "other", "phases": [{"name": "Any", "manual": ["Production"]}]}]
    running.apply({**three_stages(project("else", lifecycle="other")), "lifecycles": other})
    gate.open(14)
    for version in ("1.0", "2.0"):
        await_all_stages(running, "edited", version)


def test_no_auto_promotion_undoes_a_rollback(running: LiveEngine, say: Say) -> None:
    there = three_stages(project("back"))
    running.apply(there)
    for version in ("1.0", "2.0"):
        running.create("back", version=version)
        await_all_stages(running, "back", version)
    assert say("release", "rollback", "back", "Production", "--wait").code == 0
    for environment in ("QA", "Staging"):
        assert say("release", "deploy", "back", "2.0", environment, "--wait").code == 0
    running.apply(there)
    running.services.recovery.sweep()
    assert versions(running, "prod-1") == ["1.0", "2.0", "1.0"]
    assert [d.state.final for d in running.services.queries.deployments("back")] == [True] * 9


def test_a_freeze_holds_and_does_not_skip(running: LiveEngine, say: Say) -> None:
    now = running.services.clock.now().replace(tzinfo=None)
    begin, end = (now + timedelta(hours=hours) for hours in (-1, 1))
    freeze = {
        "name": "break",
        "environments": ["Staging"],
        "from": f"{begin:%Y-%m-%dT%H:%M}",
        "to": f"{end:%Y-%m-%dT%H:%M}",
    }
    there = three_stages(project("held-back"))
    running.apply({**there, "freezes": [freeze]})
    running.create("held-back")
    held = [("QA", "succeeded"), ("Staging", "queued")]
    until(lambda: where(running, "held-back") == held, "it is held")
    (wait,) = say(
        "why", f"dep-{running.services.queries.deployments('held-back')[0].id}", "--json"
    ).document
    assert (wait["reason"], wait["expected_start"][:16]) == ("freeze", f"{end:%Y-%m-%dT%H:%M}")
    running.apply(there)  # the freeze is over
    await_all_stages(running, "held-back", "1.0")


# ---- slots and locks ----


def test_no_cancelled_run_keeps_its_slot(running: LiveEngine, say: Say) -> None:
    names = [f"slot-{n}" for n in range(1, 7)]
    for name in names:
        running.gate(name)
    running.apply(catalog(*(project(name, HELD, variables=TRUE) for name in names)))
    deployments = running.create(*names)
    until(lambda: len(running.inside("qa-1")) == 5, "the cap is used up")
    waits = next(name for name in names if name not in running.inside("qa-1"))
    gone = next(d for d in deployments if d.project != waits)
    assert say("deployment", "cancel", f"dep-{gone.id}").code == 0
    until(lambda: waits in running.inside("qa-1"), "it has the slot")
    assert running.await_end(gone.id) == "cancelled"


def test_no_parent_waits_for_its_child_under_the_cap(running: LiveEngine) -> None:
    gate = running.gate("child")
    children = [{"name": n, "script": held_at("child")} for n in ("Drain", "Install")]
    group = {"name": "Roll", "kind": "rolling", "steps": children}
    names = [f"parent-{n:02}" for n in range(1, 13)]
    running.apply(
        catalog(
            project("parent-[01:12]", process=[group], variables=TRUE),
            machines=[machine("qa-1", "QA"), machine("qa-2", "QA")],
        )
    )
    running.batch(names, "family")
    until(
        lambda: [d.state.value for d in _of(running, names)] == ["running"] * 12, "twelve parents"
    )
    until(lambda: len(running.inside("qa-1")) == 5, "five children")
    gate.open(12 * 2 * 2)
    assert running.await_batch("family") == "succeeded"


def _of(engine: LiveEngine, names: list[str]) -> list[Any]:
    return [d for d in engine.services.queries.deployments() if d.project in names]


#: Told to end it runs a hook of its own, which takes its time.
WITH_HOOK = f"""{BEGIN}
trap 'echo begin hook 1.0 Hook 1 run-0 >> journal; read -r _ < "$SCRATCH/hook"; exit 1' TERM
cat "$SCRATCH/hooked" &
wait
"""


def test_no_lock_is_freed_before_the_hook_of_a_cancelled_script_has_run(
    running: LiveEngine, say: Say
) -> None:
    running.gate("hooked")
    gate = running.gate("hook")
    running.apply(catalog(project("hooked", WITH_HOOK), project("next")))
    (hooked,) = running.create("hooked")
    running.await_inside("qa-1", "hooked")
    (after,) = running.create("next")
    running.await_line("machine:qa-1", ["hooked"], "next")
    assert say("deployment", "cancel", f"dep-{hooked.id}").code == 0
    until(lambda: "hook" in running.inside("qa-1"), "the hook runs")
    running.services.recovery.sweep()
    assert running.line("machine:qa-1") == (["hooked"], ["next"])
    assert running.detail(hooked.id).deployment.state == "running"
    gate.open()
    assert running.await_end(hooked.id) == "cancelled"
    assert running.await_end(after.id) == "succeeded"
    assert running.begun("qa-1") == ["hooked", "hook", "next"]


def test_no_lock_of_a_whole_deployment_is_freed_before_its_last_step_for_failures_has_run(
    running: LiveEngine,
) -> None:
    gate = running.gate("undo")
    process = [
        step(f"{BEGIN}exit 1\n", "Install"),
        step(held_at("undo"), "Undo", condition="failure"),
        step(SHORT, "Tell", condition="always"),
    ]
    running.apply(catalog(project("whole", process=process, mutex="deployment"), project("other")))
    (whole,) = running.create("whole")
    until(lambda: len(running.journal("qa-1")) == 2, "Undo runs")
    (other,) = running.create("other")
    running.await_line("machine:qa-1", ["whole"], "other")
    gate.open()
    assert running.await_end(whole.id) == "failed"
    assert running.await_end(other.id) == "succeeded"
    assert [e.step for e in running.journal("qa-1") if e.event == "begin"] == [
        "Install",
        "Undo",
        "Tell",
        "Install",
    ]


def test_no_queue_head_is_sent_to_the_tail_when_it_cannot_run_yet(
    running: LiveEngine, say: Say
) -> None:
    running.gate("fills")
    machines = [machine("qa-1", "QA", roles=["full"]), machine("qa-2", "QA", roles=["web"])]
    crowd = step(held_at("fills"), roles=["full"])
    mine = step(SHORT, roles=["web"])
    running.apply(
        catalog(
            project("fills-[1:5]", process=[crowd], variables=TRUE),
            *(project(name, process=[mine]) for name in ("head", "second", "third")),
            project("urgent", process=[mine], lifecycle="by-hand"),
            machines=machines,
            lifecycles=[
                {"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]},
                {"name": "by-hand", "phases": [{"name": "QA", "manual": ["QA"]}]},
            ],
        )
    )
    running.create(*(f"fills-{n}" for n in range(1, 6)))
    until(lambda: len(running.inside("qa-1")) == 5, "the cap is used up")
    for name in ("head", "second", "third"):
        running.create(name)
        until(lambda name=name: _at(running, name), f"{name} at qa-2")
    running.await_line("machine:qa-2", ["head"], "second", "third")  # it waits for a slot
    say("release", "create", "urgent", "1.0")
    say("release", "deploy", "urgent", "1.0", "QA", "--priority", "1")
    running.await_line("machine:qa-2", ["urgent"], "head", "second", "third")
    for _ in range(3):
        running.services.recovery.sweep()
    assert running.line("machine:qa-2") == (["urgent"], ["head", "second", "third"])


def _at(engine: LiveEngine, name: str) -> bool:
    holders, waiters = engine.line("machine:qa-2")
    return name in (*holders, *waiters)


# ---- names and values ----


def test_no_name_with_a_trailing_space_silently_switches_the_bypass_off(
    running: LiveEngine, say: Say
) -> None:
    spaced = {"name": f" {BYPASS.lower()} ", "value": " true ", "scope": {"environments": ["QA "]}}
    running.apply(catalog(project("spaced", variables=[spaced])))
    (deployment,) = running.create("spaced")
    assert running.await_end(deployment.id) == "succeeded"
    assert [run.lock_mode for run in running.detail(deployment.id).runs] == ["shared"]
    wrong = catalog(project("spaced", variables=[bypassing("True", environments=["Q A"])]))
    refused = say("apply", str(running.write("spaced.yaml", json.dumps(wrong))))
    assert (refused.code, "did you mean 'QA'" in refused.err) == (2, True)


@pytest.mark.parametrize("name", [BYPASS, "Greeting"])
def test_no_two_equal_scopes_are_resolved_by_chance(
    running: LiveEngine, say: Say, name: str
) -> None:
    project_name = f"tied-{name}"
    tied = [
        {"name": name, "value": text, "scope": {"roles": [role]}}
        for text, role in (("True", "web"), ("False", "db"))
    ]
    script = f'echo "#{{{name}}}" >> ran\n'
    running.apply(
        catalog(
            project(project_name, script, variables=tied),
            machines=[machine("qa-1", "QA", roles=["web", "db"])],
            lifecycles=BY_HAND,
        )
    )
    say("release", "create", project_name, "1.0")
    told = say("release", "deploy", project_name, "1.0", "QA", "--wait")
    said = told.err + told.out
    said += say("deployment", "list", "--project", project_name, "--json").out
    for deployment in running.services.queries.deployments(project_name):
        said += "".join(run.message or "" for run in running.detail(deployment.id).runs)
    assert told.code in (1, 2)
    assert name in said
    assert "role web" in said
    assert "role db" in said
    assert not (running.home / "machines" / "qa-1" / "ran").exists()
