"""Releases, lifecycles, promotion: what each sentence of their meaning says, on real workers."""

from __future__ import annotations

import getpass
from datetime import timedelta
from typing import Any

import pytest

from tests.acceptance.catalogs import (
    BEGIN,
    END,
    HELD,
    SHORT,
    bypassing,
    catalog,
    held_at,
    machine,
    project,
    step,
)
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until

STAGES = ("QA", "Staging", "Production")
MACHINES = [machine(f"{stage.lower()}-1", stage) for stage in STAGES]
TWO = [machine("qa-1", "QA"), machine("qa-2", "QA")]
TRUE = [bypassing("True")]
#: Fails until somebody has mended the machine.
UNMENDED = f"{BEGIN}test -e mended || exit 1\n{END}"


def lifecycle(name: str, kind: str, *stages: str) -> dict[str, Any]:
    """One phase for each stage, all automatic or all manual."""
    return {"name": name, "phases": [{"name": stage, kind: [stage]} for stage in stages]}


BOTH = [lifecycle("auto", "automatic", *STAGES), lifecycle("by-hand", "manual", *STAGES)]


def three(*projects: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """QA, Staging and Production with a machine each, all automatic or by hand."""
    there = {"environments": list(STAGES), "machines": MACHINES, "lifecycles": BOTH}
    return catalog(*projects, **{**there, **parts})


def where(engine: LiveEngine, name: str, version: str = "1.0") -> list[tuple[str, str]]:
    """Environment and state of the release's deployments, the oldest first."""
    found = engine.services.queries.release(name, version).deployments
    return [(d.environment, d.state.value) for d in found]


def await_where(engine: LiveEngine, name: str, *there: str, version: str = "1.0") -> None:
    """Until the release has succeeded in these environments in this order and is nowhere else."""
    wanted = [(environment, "succeeded") for environment in there]
    until(lambda: where(engine, name, version) == wanted, f"{name} in {there}")


def mend(engine: LiveEngine, *machines: str) -> None:
    for name in machines:
        folder = engine.home / "machines" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mended").touch()


def begun(engine: LiveEngine, name: str) -> list[str]:
    """The steps whose scripts have begun on a machine, in order."""
    return [entry.step for entry in engine.journal(name) if entry.event == "begin"]


def last(engine: LiveEngine, name: str) -> int:
    """The newest deployment of a project."""
    return engine.services.queries.deployments(name)[0].id


# ---- releases ----


def test_a_release_is_an_immutable_snapshot_of_process_variables_and_included_sets(
    running: LiveEngine, say: Say
) -> None:
    def today(word: str) -> dict[str, Any]:
        script = f'echo "{word} #{{Own}} #{{Shared}}"\n'
        own, shared = [{"name": "Own", "value": word}], [{"name": "Shared", "value": word}]
        frozen = project("frozen", script, lifecycle="by-hand", variables=own, include=["S"])
        return three(frozen, variable_sets=[{"name": "S", "variables": shared}])

    running.apply(today("then"))
    say("release", "create", "frozen", "1.0")
    running.apply(today("now"))
    assert say("release", "deploy", "frozen", "1.0", "QA", "--wait").code == 0
    assert "then then then" in say("deployment", "log", f"dep-{last(running, 'frozen')}").out


def test_same_project_and_version_twice_an_error_unless_everything_is_identical(
    running: LiveEngine, say: Say
) -> None:
    create = ("release", "create", "same", "1.0", "--json")
    running.apply(three(project("same", lifecycle="by-hand")))
    assert say(*create).document["created"] is True
    assert say(*create).document["created"] is False
    running.apply(three(project("same", "true\n", lifecycle="by-hand")))
    refused = say(*create)
    assert (refused.code, refused.out) == (2, "")
    assert "same 1.0 exists with other content" in refused.err


# ---- lifecycles and promotion ----


def test_phases_automatic_as_soon_as_the_release_enters_how_many_must_succeed_or_optional(
    running: LiveEngine, say: Say
) -> None:
    names = ["First-a", "First-b", "First-c", "Lab", "Production", "Rest"]
    phases = [
        {"name": "First", "automatic": names[:2], "manual": ["First-c"], "minimum": 2},
        {"name": "Second", "automatic": ["Lab"], "optional": True},
        {"name": "Third", "automatic": ["Production"]},
        {"name": "What is left"},
    ]
    running.apply(
        catalog(
            project("phases"),
            environments=names,
            machines=[machine(f"m-{name.lower()}", name) for name in names],
            lifecycles=[{"name": "auto", "phases": phases}],
        )
    )
    say("release", "create", "phases", "1.0")
    until(lambda: ("Production", "succeeded") in where(running, "phases"), "Production is reached")
    assert [there for there, _ in where(running, "phases")] == ["First-a", "First-b", "Production"]
    for environment in ("First-c", "Lab", "Rest"):
        assert say("release", "deploy", "phases", "1.0", environment, "--wait").code == 0
    assert len(where(running, "phases")) == 6


def test_of_a_phase_0_all_must_succeed_before_the_next(running: LiveEngine, say: Say) -> None:
    phases = [
        {"name": "First", "automatic": ["QA"], "manual": ["Staging"], "minimum": 0},
        {"name": "Second", "automatic": ["Production"]},
    ]
    running.apply(three(project("all"), lifecycles=[{"name": "auto", "phases": phases}]))
    say("release", "create", "all", "1.0")
    await_where(running, "all", "QA")
    refused = say("release", "deploy", "all", "1.0", "Production")
    assert (refused.code, "may not enter Production yet" in refused.err) == (2, True)
    assert say("release", "deploy", "all", "1.0", "Staging", "--wait").code == 0
    await_where(running, "all", "QA", "Staging", "Production")


def test_promotion_happens_exactly_once_only_success_counts_never_backwards(
    running: LiveEngine, say: Say
) -> None:
    bad_in_staging = '[ "$DEPLOYENGINE_ENVIRONMENT" != Staging ] || test -e mended || exit 1\n'
    running.apply(three(project("once", BEGIN + bad_in_staging + END)))
    say("release", "create", "once", "1.0")
    until(lambda: where(running, "once") == [("QA", "succeeded"), ("Staging", "failed")], "failed")
    # A further success in QA opens nothing anew; one in Staging opens what is behind it.
    assert say("release", "deploy", "once", "1.0", "QA", "--wait").code == 0
    assert len(where(running, "once")) == 3
    mend(running, "staging-1")
    for _ in range(2):
        assert say("release", "deploy", "once", "1.0", "Staging", "--wait").code == 0
    until(lambda: ("Production", "succeeded") in where(running, "once"), "Production is reached")
    there = [environment for environment, _ in where(running, "once")]
    assert [there.count(stage) for stage in STAGES] == [2, 3, 1]


def test_a_channel_picks_the_lifecycle_so_manual_and_auto_are_two_channels_of_one_project(
    running: LiveEngine, say: Say
) -> None:
    channels = [{"name": n, "lifecycle": way} for n, way in (("manual", "by-hand"), ("go", "auto"))]
    running.apply(three(project("channels", channels=channels)))
    say("release", "create", "channels", "1.0", "--channel", "manual")
    say("release", "create", "channels", "2.0", "--channel", "go")
    await_where(running, "channels", *STAGES, version="2.0")
    assert where(running, "channels") == []
    assert say("release", "deploy", "channels", "1.0", "QA", "--wait").code == 0
    await_where(running, "channels", "QA")


def test_supersede_cancels_older_ones_that_wait_whole_never_one_begun_nor_with_skips_or_filter(
    running: LiveEngine, say: Say
) -> None:
    gate = running.gate("newer")
    process = [step(HELD), step(SHORT, "Check")]
    newer = project("newer", process=process, supersede=True, lifecycle="by-hand")
    running.apply(three(newer, machines=TWO + MACHINES[1:]))
    for version in ("1", "2", "3", "4", "5"):
        say("release", "create", "newer", version)
    say("release", "deploy", "newer", "1", "QA")
    running.await_inside("qa-1", "newer")
    say("release", "deploy", "newer", "2", "QA", "--skip", "Check")
    say("release", "deploy", "newer", "3", "QA", "--machine", "qa-1")
    say("release", "deploy", "newer", "4", "QA")
    say("release", "deploy", "newer", "5", "QA")
    assert [where(running, "newer", v) for v in ("1", "2", "3", "4", "5")] == [
        [("QA", "running")],
        [("QA", "queued")],
        [("QA", "queued")],
        [("QA", "superseded")],
        [("QA", "queued")],
    ]
    gate.open(10)
    for version in ("1", "2", "3", "5"):
        await_where(running, "newer", "QA", version=version)
    assert "superseded by 5" in say("release", "show", "newer", "4").out


# ---- again, back, and in part ----


def test_redeploy_and_rollback_to_the_previous_success_there(running: LiveEngine, say: Say) -> None:
    running.apply(three(project("back")))
    for version in ("1.0", "2.0"):
        say("release", "create", "back", version)
        await_where(running, "back", *STAGES, version=version)
    assert say("release", "deploy", "back", "2.0", "QA", "--wait").code == 0
    assert say("release", "rollback", "back", "Production", "--wait").code == 0
    deployed = running.journal("production-1")
    assert [e.version for e in deployed if e.event == "begin"] == ["1.0", "2.0", "1.0"]
    assert [e.version for e in running.journal("qa-1") if e.event == "begin"][-1] == "2.0"


def test_skip_steps_include_machines_exclude_machines(running: LiveEngine, say: Say) -> None:
    process = [step(SHORT, "Fetch"), step(SHORT, "Install")]
    part = project("part", process=process, lifecycle="by-hand")
    running.apply(three(part, machines=TWO + MACHINES[1:]))
    say("release", "create", "part", "1.0")
    deploy = ("release", "deploy", "part", "1.0", "QA", "--wait")
    assert say(*deploy, "--skip", "Fetch", "--exclude-machine", "qa-2").code == 0
    assert (begun(running, "qa-1"), begun(running, "qa-2")) == (["Install"], [])
    assert say(*deploy, "--machine", "qa-2").code == 0
    assert (begun(running, "qa-1"), begun(running, "qa-2")) == (["Install"], ["Fetch", "Install"])


def test_retry_only_the_machines_that_failed(running: LiveEngine, say: Say) -> None:
    process = [step(SHORT, "Fetch"), step(UNMENDED, "Install")]
    again = project("again", process=process, lifecycle="by-hand")
    running.apply(three(again, machines=TWO + MACHINES[1:]))
    mend(running, "qa-1")
    say("release", "create", "again", "1.0")
    assert say("release", "deploy", "again", "1.0", "QA", "--wait").code == 1
    mend(running, "qa-2")
    assert say("deployment", "retry", f"dep-{last(running, 'again')}", "--wait").code == 0
    assert begun(running, "qa-1") == ["Fetch", "Install"]
    assert begun(running, "qa-2") == ["Fetch", "Install"] * 2


def test_a_machine_that_was_not_there_catches_up_later_with_the_release_that_is_current_there(
    running: LiveEngine, say: Say
) -> None:
    late = project("late", lifecycle="by-hand")
    running.apply(three(late))
    say("release", "create", "late", "1.0")
    assert say("release", "deploy", "late", "1.0", "QA", "--wait").code == 0
    running.apply(three(late, machines=TWO + MACHINES[1:]))
    assert say("release", "deploy", "late", "1.0", "QA", "--missing", "--wait").code == 0
    assert [running.begun(name) for name in ("qa-1", "qa-2")] == [["late"], ["late"]]


# ---- times ----


def test_a_schedule_with_an_expiry_has_no_place_in_line_before_its_time(
    running: LiveEngine, say: Say
) -> None:
    running.apply(three(project("timed", lifecycle="by-hand")))
    say("release", "create", "timed", "1.0")
    deploy = ("release", "deploy", "timed", "1.0", "QA")
    say(*deploy, "--at", "+1h", "--expires", "+2h")
    assert running.line("tag:timed/QA") == ([], [])
    (wait,) = running.services.waits.why(f"dep-{last(running, 'timed')}")
    assert wait.reason == "schedule"
    assert say(*deploy, "--at", "+2s", "--wait").code == 0
    past = say(*deploy, "--at", "2020-01-01T00:00")
    assert (past.code, "has passed" in past.err) == (2, True)


def test_what_has_not_begun_by_its_expiry_never_begins(running: LiveEngine, say: Say) -> None:
    running.gate("expires")
    running.apply(three(project("expires", HELD, lifecycle="by-hand")))
    say("release", "create", "expires", "1.0")
    deploy = ("release", "deploy", "expires", "1.0", "QA")
    say(*deploy)
    running.await_inside("qa-1", "expires")
    say(*deploy, "--expires", "+2s")
    number = last(running, "expires")
    assert running.await_end(number) == "cancelled"
    assert "not begun by" in (running.detail(number).deployment.message or "")
    running.await_line("tag:expires/QA", ["expires"])


def test_freezes_with_override_and_reason(running: LiveEngine, say: Say) -> None:
    now = running.services.clock.now().replace(tzinfo=None)
    begin, end = (now + timedelta(hours=h) for h in (-1, 1))
    freeze = {"name": "break", "from": f"{begin:%Y-%m-%dT%H:%M}", "to": f"{end:%Y-%m-%dT%H:%M}"}
    running.apply(three(project("frozen-now", lifecycle="by-hand"), freezes=[freeze]))
    say("release", "create", "frozen-now", "1.0")
    deploy = ("release", "deploy", "frozen-now", "1.0", "QA", "--wait")
    refused = say(*deploy)
    assert (refused.code, "QA is frozen by break until" in refused.err) == (2, True)
    assert say(*deploy, "--override-freeze", "the shop is on fire").code == 0
    assert "the shop is on fire" in say("audit", "list", "--action", "freeze.override").out


def test_prevent_progression_until_it_is_let_go(running: LiveEngine, say: Say) -> None:
    gate = running.gate("blocked")
    running.apply(three(project("blocked", HELD)))
    say("release", "create", "blocked", "1.0")
    running.await_inside("qa-1", "blocked")
    say("release", "block", "blocked", "1.0", "--reason", "a bug")
    gate.open(10)
    await_where(running, "blocked", "QA")
    refused = say("release", "deploy", "blocked", "1.0", "Staging")
    assert (refused.code, "a bug" in refused.err) == (2, True)
    say("release", "unblock", "blocked", "1.0")
    assert say("release", "deploy", "blocked", "1.0", "Staging", "--wait").code == 0


# ---- people ----


@pytest.mark.parametrize(
    ("answer", "state", "steps"),
    [
        ("retry", "succeeded", ["Install", "Install", "Check"]),
        ("ignore", "succeeded", ["Install", "Check"]),
        ("exclude", "succeeded", ["Install"]),
        ("fail", "failed", ["Install"]),
    ],
)
def test_guided_failure_retry_ignore_exclude_machine_fail(
    running: LiveEngine, say: Say, answer: str, state: str, steps: list[str]
) -> None:
    name = f"guided-{answer}"
    process = [step(f"{BEGIN}test -e ok-{answer} || exit 1\n{END}"), step(SHORT, "Check")]
    guided = project(name, process=process, guided_failure=True, lifecycle="by-hand")
    running.apply(three(guided, machines=TWO + MACHINES[1:]))
    other = running.home / "machines" / "qa-2"
    other.mkdir(parents=True, exist_ok=True)
    (other / f"ok-{answer}").touch()
    say("release", "create", name, "1.0")
    say("release", "deploy", name, "1.0", "QA")
    number = last(running, name)
    until(lambda: running.detail(number).deployment.state == "paused", "it asks")
    running.await_line("machine:qa-1", [])
    (running.home / "machines" / "qa-1" / f"ok-{answer}").touch()
    assert say("guide", f"dep-{number}", answer).code == 0
    assert running.await_end(number) == state
    assert begun(running, "qa-1") == steps


@pytest.mark.parametrize(("word", "state"), [("--note=fine", "succeeded"), ("--abort", "failed")])
def test_manual_intervention_proceed_abort_frees_slot_lock_and_tag_while_it_waits(
    running: LiveEngine, say: Say, word: str, state: str
) -> None:
    name = f"asks-{state}"
    ask = {"name": "Ask", "kind": "manual", "instructions": "shall it?"}
    process = [step(SHORT, "Before"), ask, step(SHORT, "After")]
    running.apply(three(project(name, process=process, lifecycle="by-hand")))
    for version in ("1.0", "2.0"):
        say("release", "create", name, version)
        say("release", "deploy", name, version, "QA")
    first, second = [d.id for d in running.services.queries.deployments(name)][::-1]
    for number in (first, second):  # the second one has the tag as the first one waits
        until(lambda n=number: running.detail(n).deployment.state == "paused", "it asks")
    until(lambda: running.services.queries.locks() == [], "nothing is held")
    asked = say("inbox", "--json").document
    assert [each["deployment"] for each in asked][-2:] == [f"dep-{first}", f"dep-{second}"]
    assert say("approve", f"dep-{first}", word).code == 0
    assert running.await_end(first) == state
    (answered,) = [run for run in running.detail(first).runs if run.answer]
    assert getpass.getuser() in (answered.message or "")
    assert begun(running, "qa-1").count("After") == (1 if state == "succeeded" else 0)


# ---- cancel ----


def test_cancel_works_at_any_point_waiting_or_running_and_leaves_no_lock_behind(
    running: LiveEngine, say: Say
) -> None:
    running.gate("never")
    held, held_shared = held_at("never"), {"variables": TRUE}
    ask = {"name": "Ask", "kind": "manual", "instructions": "shall it?"}
    machines = [machine(name, "QA", roles=[name]) for name in ("qa-1", "qa-2", "qa-3")]
    running.apply(
        catalog(
            project("runs", process=[step(held, roles=["qa-1"])]),
            project("for-machine", process=[step(held, roles=["qa-1"])]),
            project("for-person", process=[ask, step(SHORT)]),
            project("for-person-with-tag", process=[{**ask, "keep_tag": True}, step(SHORT)]),
            project("pauses", process=[step("exit 1\n", roles=["qa-2"], retries=1, backoff="1h")]),
            project("guided", process=[step("exit 1\n", roles=["qa-2"])], guided_failure=True),
            project("window", process=[step(held, roles=["qa-1", "qa-2"], max_parallel=1)]),
            project("fills-[1:4]", process=[step(held, roles=["qa-3"])], **held_shared),
            project("for-slot", process=[step(held, roles=["qa-3"])], **held_shared),
            project("later", lifecycle="by-hand"),
            machines=machines,
            lifecycles=[
                lifecycle("auto", "automatic", "QA"),
                lifecycle("by-hand", "manual", "QA"),
            ],
        )
    )
    points = {
        "runs": "running",
        "for-machine": "running",
        "for-person": "paused",
        "for-person-with-tag": "paused",
        "pauses": "running",
        "guided": "paused",
        "window": "running",
        "fills-1": "running",
        "for-slot": "running",
        "later": "queued",
    }
    for name in ("runs", "pauses", "guided", "for-machine", "window"):
        say("release", "create", name, "1.0")
        if name == "runs":
            running.await_inside("qa-1", "runs")
    until(lambda: len(running.detail(last(running, "pauses")).runs) == 2, "a pause")
    until(lambda: running.detail(last(running, "guided")).deployment.state == "paused", "it asks")
    for name in ("for-person", "for-person-with-tag", *(f"fills-{n}" for n in range(1, 5))):
        say("release", "create", name, "1.0")
    until(lambda: len(running.inside("qa-3")) == 4, "the cap is used up")
    say("release", "create", "for-slot", "1.0")
    say("release", "create", "runs", "2.0")  # waits for the tag
    say("release", "create", "later", "1.0")
    say("release", "deploy", "later", "1.0", "QA", "--at", "+1h")

    def states() -> dict[str, str]:
        found = running.services.queries.deployments()
        return {d.project: d.state.value for d in found if d.version == "1.0"}

    until(lambda: {n: s for n, s in states().items() if n in points} == points, "all are there")
    until(lambda: "for-slot" in running.line("machine:qa-3")[0], "it waits for a slot")
    for deployment in running.services.queries.deployments():
        if deployment.project in points:
            assert say("deployment", "cancel", f"dep-{deployment.id}").code == 0
    ended = [d for d in running.services.queries.deployments() if d.project in points]
    assert len(ended) == len(points) + 1
    assert {running.await_end(d.id).value for d in ended} == {"cancelled"}

    def holders() -> set[str]:
        views = running.services.queries.locks()
        return {each.label.split()[0] for view in views for each in view.holders}

    until(lambda: holders() == {"fills-2", "fills-3", "fills-4"}, "nothing else is held")
