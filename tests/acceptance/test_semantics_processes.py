"""Projects, processes and steps: what each sentence of their meaning says, on real workers."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import BEGIN, END, SHORT, catalog, held_at, machine, project, step
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until

WEB = [machine("web-1", "QA"), machine("web-2", "QA")]
FOUR = [machine(f"web-{n}", "QA") for n in (1, 2, 3, 4)]
STAGES = ("QA", "Production")
AUTO = [{"name": "auto", "phases": [{"name": s, "automatic": [s]} for s in STAGES]}]
BY_HAND = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]

#: A script that waits at the gate of its machine.
HELD_THERE = held_at("$DEPLOYENGINE_MACHINE")


def begun(engine: LiveEngine, name: str) -> list[str]:
    """The steps whose scripts have begun on a machine, in order."""
    return [entry.step for entry in engine.journal(name) if entry.event == "begin"]


def deployed(engine: LiveEngine, name: str, *process: dict[str, Any], **parts: Any) -> int:
    """A release of a project with this process has come to its end: its first deployment."""
    engine.apply(catalog(project(name, process=list(process)), **parts))
    (deployment,) = engine.create(name)
    engine.await_end(deployment.id)
    return deployment.id


def messages(engine: LiveEngine, deployment: int) -> dict[str, str | None]:
    detail = engine.detail(deployment)
    return {detail.steps[run.step]: run.message for run in detail.runs}


def test_a_process_is_ordered_steps_each_on_every_machine_that_bears_one_of_its_roles(
    running: LiveEngine,
) -> None:
    machines = [
        machine("web-1", "QA", roles=["web"]),
        machine("web-2", "QA", roles=["web", "cache"]),
        machine("db-1", "QA", roles=["db"]),
        machine("prod-1", "Production", roles=["web", "db", "there"]),
    ]
    process = [
        step(SHORT, "Web", roles=["web"]),
        step(SHORT, "Both", roles=["web", "db"]),
        step(SHORT, "All"),
        step(SHORT, "Nowhere", roles=["there"]),
    ]
    deployed(running, "ordered", *process, machines=machines, environments=list(STAGES))
    assert [begun(running, f"web-{n}") for n in (1, 2)] == [["Web", "Both", "All"]] * 2
    assert begun(running, "db-1") == ["Both", "All"]
    assert begun(running, "prod-1") == []


def test_next_step_starts_when_all_machines_are_done_with_this_one_a_barrier(
    running: LiveEngine,
) -> None:
    gates = [running.gate(f"web-{n}") for n in (1, 2)]
    process = [step(HELD_THERE, "One"), step(SHORT, "Two")]
    running.apply(catalog(project("barrier", process=process), machines=WEB))
    (deployment,) = running.create("barrier")
    for name in ("web-1", "web-2"):
        running.await_inside(name, "barrier")
    gates[0].open()
    until(lambda: "succeeded" in _states(running, deployment.id), "web-1 is done with One")
    running.services.recovery.sweep()
    assert begun(running, "web-1") == ["One"]
    assert sorted(_states(running, deployment.id)) == ["pending", "pending", "running", "succeeded"]
    gates[1].open()
    assert running.await_end(deployment.id) == "succeeded"
    assert [begun(running, name) for name in ("web-1", "web-2")] == [["One", "Two"]] * 2


def _states(engine: LiveEngine, deployment: int) -> list[str]:
    return [run.state.value for run in engine.detail(deployment).runs]


def test_start_trigger_after_previous_or_with_previous(running: LiveEngine) -> None:
    gate = running.gate("together")
    process = [
        step(held_at("together"), "One", touches=["a"]),
        step(SHORT, "Two", touches=["b"], start="with_previous"),
        step(SHORT, "Three", touches=["b"]),
    ]
    running.apply(catalog(project("together", process=process)))
    (deployment,) = running.create("together")
    until(lambda: _states(running, deployment.id)[1] == "succeeded", "Two has run beside One")
    running.services.recovery.sweep()
    assert sorted(begun(running, "qa-1")) == ["One", "Two"]
    gate.open()
    assert running.await_end(deployment.id) == "succeeded"
    assert begun(running, "qa-1")[2:] == ["Three"]


def test_a_rolling_group_runs_its_child_steps_machine_by_machine_within_a_window_which_slides(
    running: LiveEngine,
) -> None:
    gates = {n: running.gate(f"web-{n}") for n in (1, 2, 3, 4)}
    children = [
        {"name": "Drain", "script": SHORT},
        {"name": "Install", "script": HELD_THERE},
        {"name": "Check", "script": SHORT},
    ]
    group = {"name": "Roll", "kind": "rolling", "max_parallel": 2, "steps": children}
    running.apply(catalog(project("rolling", process=[group]), machines=FOUR))
    (deployment,) = running.create("rolling")

    def await_there(*steps: int) -> None:
        """So many steps have begun on each machine, one after the other."""
        wanted = [["Drain", "Install", "Check"][:many] for many in steps]
        found = lambda: [begun(running, f"web-{n}") for n in gates]  # noqa: E731
        until(lambda: found() == wanted, f"{wanted}")

    await_there(2, 2, 0, 0)
    gates[2].open()
    await_there(2, 3, 2, 0)
    gates[1].open()
    await_there(3, 3, 2, 2)
    gates[3].open()
    gates[4].open()
    assert running.await_end(deployment.id) == "succeeded"
    await_there(3, 3, 3, 3)


@pytest.mark.parametrize(("limit", "at_once"), [(None, 4), ("2", 2)])
def test_octopus_action_max_parallelism_limits_machines_of_one_step_else_no_limit_but_the_cap(
    running: LiveEngine, limit: str | None, at_once: int
) -> None:
    name = f"limit-{limit}"
    gates = {n: running.gate(f"web-{n}") for n in (1, 2, 3, 4)}
    variables = [{"name": "Octopus.Action.MaxParallelism", "value": limit}] if limit else []
    running.apply(
        catalog(project(name, process=[step(HELD_THERE)], variables=variables), machines=FOUR)
    )
    (deployment,) = running.create(name)

    def inside() -> list[int]:
        return [n for n in gates if running.inside(f"web-{n}")]

    until(lambda: inside() == list(gates)[:at_once], f"{at_once} at once")
    running.services.recovery.sweep()
    assert len(inside()) == at_once
    for gate in gates.values():
        gate.open()
    assert running.await_end(deployment.id) == "succeeded"


# ---- failures, and what runs after them ----

CONDITIONS = [
    step(SHORT, "Next"),
    step(SHORT, "Undo", condition="failure"),
    step(SHORT, "Tell", condition="always"),
    step(SHORT, "Maybe", condition="#{if Octopus.Deployment.Error}True#{/if}"),
]


def test_one_failed_machine_fails_the_step_later_ones_run_by_their_condition_environment_failed(
    running: LiveEngine,
) -> None:
    bad = f'{BEGIN}[ "$DEPLOYENGINE_MACHINE" = web-1 ] || exit 7\n{END}'
    number = deployed(
        running,
        "one-fails",
        step(bad, "Install"),
        *CONDITIONS,
        machines=[*WEB, machine("prod-1", "Production")],
        environments=list(STAGES),
        lifecycles=AUTO,
    )
    assert [begun(running, n) for n in ("web-1", "web-2")] == [
        ["Install", "Undo", "Tell", "Maybe"]
    ] * 2
    ended = running.detail(number).deployment
    assert (ended.state, ended.message) == ("failed", "a step failed on web-2")
    assert messages(running, number)["Next"] == "something before it failed"
    assert [d.environment for d in running.services.queries.deployments("one-fails")] == ["QA"]


def test_run_condition_success_failure_always_or_a_variable_expression(running: LiveEngine) -> None:
    number = deployed(running, "all-well", step(SHORT, "Install"), *CONDITIONS)
    assert begun(running, "qa-1") == ["Install", "Next", "Tell"]
    assert running.detail(number).deployment.state == "succeeded"
    assert _states(running, number).count("skipped") == 2


def test_a_step_applies_to_environments_and_channels(running: LiveEngine) -> None:
    process = [
        step(SHORT, "Everywhere"),
        step(SHORT, "Live", environments=["Production"]),
        step(SHORT, "Tried", exclude_environments=["Production"]),
        step(SHORT, "Hot", channels=["hot"]),
    ]
    channels = [{"name": "hot", "lifecycle": "auto"}]
    running.apply(
        catalog(
            project("applies", process=process, channels=channels),
            machines=[machine("qa-1", "QA"), machine("prod-1", "Production")],
            environments=list(STAGES),
            lifecycles=AUTO,
        )
    )
    for version, channel in (("1.0", None), ("2.0", "hot")):
        running.services.releases.create(Wanted("applies", version, channel))

        def there(version: str = version) -> list[str]:
            found = running.services.queries.release("applies", version).deployments
            return [d.state.value for d in found]

        until(lambda there=there: there() == ["succeeded"] * 2, f"{version} in both")
    assert begun(running, "qa-1") == ["Everywhere", "Tried", "Everywhere", "Tried", "Hot"]
    assert begun(running, "prod-1") == ["Everywhere", "Live", "Everywhere", "Live", "Hot"]


def test_a_required_step_is_never_skipped(running: LiveEngine, say: Say) -> None:
    process = [step(SHORT, "Must", required=True), step(SHORT, "May")]
    running.apply(catalog(project("required", process=process), lifecycles=BY_HAND))
    say("release", "create", "required", "1.0")
    deploy = ("release", "deploy", "required", "1.0", "QA", "--wait", "--skip")
    refused = say(*deploy, "Must")
    assert refused.code == 2
    assert "step Must of required is required" in refused.err
    assert running.services.queries.deployments("required") == []
    assert say(*deploy, "May").code == 0
    assert begun(running, "qa-1") == ["Must"]


def test_retries_are_so_many_further_attempts_each_with_a_ticket_of_its_own(
    running: LiveEngine,
) -> None:
    at_third = f'{BEGIN}[ "$DEPLOYENGINE_ATTEMPT" = 3 ] || exit 1\n{END}'
    number = deployed(running, "retried", step(at_third, retries=3))
    runs = running.detail(number).runs
    assert [(run.attempt, run.state.value) for run in runs] == [
        (1, "failed"),
        (2, "failed"),
        (3, "succeeded"),
    ]
    tickets = [run.ticket or 0 for run in runs]
    assert tickets == sorted(set(tickets))
    assert [entry.attempt for entry in running.journal("qa-1")] == [1, 2, 3, 3]


def test_a_script_beyond_its_time_out_is_ended_and_says_so(running: LiveEngine) -> None:
    running.gate("never")
    number = deployed(running, "slow", step(held_at("never"), timeout="2s"))
    (run,) = running.detail(number).runs
    assert (run.state, run.message) == ("failed", "timed out after 2 s")
    assert [entry.event for entry in running.journal("qa-1")] == ["begin"]


def test_idempotent_a_script_that_is_gone_without_an_end_may_run_again_and_no_other(
    running: LiveEngine,
) -> None:
    gone = f'{BEGIN}[ "$DEPLOYENGINE_ATTEMPT" = 1 ] && kill -9 0\n{END}'
    may = deployed(running, "may-again", step(gone, idempotent=True, on_unknown="rerun"))
    assert _states(running, may) == ["unknown", "succeeded"]
    never = deployed(running, "never-again", step(gone))
    assert _states(running, never) == ["unknown"]
    assert running.detail(never).deployment.state == "failed"
