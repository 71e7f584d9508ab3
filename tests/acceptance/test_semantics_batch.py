"""A batch: what each sentence of its meaning says, and the scenario, on real workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.acceptance.catalogs import (
    HELD,
    bypassing,
    catalog,
    held_at,
    machine,
    project,
    three_stages,
)
from tests.acceptance.conftest import Say, saying_to
from tests.support.engine import Entry, LiveEngine, until

PROJECTS = [f"app-{n}" for n in range(1, 9)]
MACHINES = ("qa-1", "stg-1", "stg-2", "prod-1", "prod-2", "prod-3", "prod-4")
STAGES = ["QA", "Staging", "Production"]
ROWS = "".join(f"{name}, 1.0\n" for name in PROJECTS)


@pytest.fixture(scope="module")
def night(installation: LiveEngine) -> LiveEngine:
    """Eight releases in one batch have come to their end; the worker is still there."""
    installation.apply(three_stages(project("app-[1:8]")))
    installation.write("night.csv", ROWS)
    installation.json("batch", "run", "night.csv", "--name", "night", "--wait")
    return installation


@pytest.fixture
def say(night: LiveEngine, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Says commands to that engine."""
    return saying_to(night, monkeypatch)


# ---- the scenario in small ----


def test_many_releases_in_one_command_go_through_all_stages_with_nobody_at_the_keyboard(
    say: Say,
) -> None:
    told = say("batch", "show", "night", "--json").document
    assert told["state"] == "succeeded"
    assert [(r["project"], r["version"], r["state"]) for r in told["releases"]] == [
        (name, "1.0", "succeeded") for name in PROJECTS
    ]
    for release in told["releases"]:
        there = [(d["environment"], d["state"]) for d in release["deployments"]]
        assert there == [(stage, "succeeded") for stage in STAGES]


@pytest.mark.parametrize("name", MACHINES)
def test_each_runs_once_and_alone_on_each_machine_in_ticket_order(
    night: LiveEngine, name: str
) -> None:
    journal = night.journal(name)
    assert _one_at_a_time(journal)
    assert sorted(night.begun(name)) == PROJECTS
    deployments = [d for d in night.deployments() if d.project in PROJECTS]
    runs = [r for d in deployments for r in night.detail(d.id).runs if r.machine == name]
    in_ticket_order = sorted(runs, key=lambda r: r.ticket or 0)
    begun = [e.run for e in journal if e.event == "begin"]
    assert begun == [f"run-{r.id}" for r in in_ticket_order]


def _one_at_a_time(journal: list[Entry]) -> bool:
    pairs = zip(journal[::2], journal[1::2], strict=True)
    return all((a.event, b.event) == ("begin", "end") and a.run == b.run for a, b in pairs)


def test_no_stage_begins_before_the_one_before_it_has_ended(night: LiveEngine) -> None:
    for release in night.services.batches.progress("night").releases:
        details = [night.detail(d.id) for d in release.deployments]
        assert [detail.deployment.environment for detail in details] == STAGES
        for before, after in pairwise(details):
            last = max(r.finished_at for r in before.runs if r.finished_at)
            first = min(r.started_at for r in after.runs if r.started_at)
            assert last <= first


# ---- a batch ----


def test_from_a_file_idempotent_the_same_file_twice_does_nothing_new(
    night: LiveEngine, say: Say
) -> None:
    first = say("batch", "show", "night", "--json").document
    journals = {m: night.journal(m) for m in MACHINES}

    again = say("batch", "run", "night.csv", "--name", "night", "--wait", "--json").document

    assert again["releases"] == first["releases"]
    assert {m: night.journal(m) for m in MACHINES} == journals


def test_csv_and_yaml_of_the_same_rows_are_the_same_batch(night: LiveEngine, say: Say) -> None:
    night.apply(catalog(project("form-[1:2]", lifecycle="by-hand"), **_elsewhere()))
    rows = [{"project": p, "version": "1.0"} for p in ("form-1", "form-2")]
    files = {
        "bare.csv": "form-1, 1.0\nform-2, 1.0\n",
        "headed.csv": "project,version\nform-1,1.0\nform-2,1.0\n",
        "rows.yaml": json.dumps(rows),
        "under.yaml": 'releases:\n- [form-1, "1.0"]\n- [form-2, "1.0"]\n',
    }

    said = [
        say("batch", "run", str(night.write(n, t)), "--json").document for n, t in files.items()
    ]

    assert all(each == said[0] for each in said)
    assert len(said[0]["releases"]) == 2


def _elsewhere() -> dict[str, Any]:
    """A machine that no other batch of this module uses."""
    return {
        "machines": [machine("alone-1", "QA")],
        "lifecycles": [
            {"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]},
            {"name": "by-hand", "phases": [{"name": "QA", "manual": ["QA"]}]},
        ],
    }


@pytest.fixture
def batch(night: LiveEngine, say: Say) -> Iterator[Any]:
    """Runs a batch of these projects on a machine of their own; at the end it is cancelled."""
    names = []

    def run(name: str, *projects: dict[str, Any]) -> None:
        night.apply(catalog(*projects, **_elsewhere()))
        rows = "".join(f"{each['name']}, 1.0\n" for each in projects)
        assert say("batch", "run", str(night.write(f"{name}.csv", rows)), "--name", name).code == 0
        names.append(name)

    yield run
    for name in names:
        say("batch", "cancel", name)
        night.await_batch(name)
    (night.home / "machines" / "alone-1" / "journal").unlink()


def test_one_progress_view(night: LiveEngine, say: Say, batch: Any) -> None:
    gate = night.gate("seen")
    batch("progress", *(project(f"seen-{n}", held_at("seen")) for n in (1, 2, 3)))
    for done in range(3):
        night.await_inside("alone-1", f"seen-{done + 1}")
        told = say("batch", "show", "progress", "--json").document
        assert (told["state"], told["counts"].get("succeeded", 0)) == ("running", done)
        assert [r["state"] for r in told["releases"]][:done] == ["succeeded"] * done
        gate.open()
    assert night.await_batch("progress") == "succeeded"


def test_one_report_what_ran_how_long_each_waited_for_what_what_failed(
    night: LiveEngine, say: Say, batch: Any
) -> None:
    gate = night.gate("good")
    batch("mixed", project("good", HELD), project("bad", "echo no such thing >&2; exit 7\n"))
    night.await_line("machine:alone-1", ["good"], "bad")
    gate.open()
    assert night.await_batch("mixed") == "failed"
    told = say("batch", "show", "mixed", "--json").document
    assert {r["project"]: r["state"] for r in told["releases"]} == {
        "good": "succeeded",
        "bad": "failed",
    }
    assert told["makespan_seconds"] >= told["running_seconds"] > 0
    assert set(told["waits"]) >= {"machine_seconds", "tag_seconds", "task_cap_seconds"}
    assert told["waits"]["machine_seconds"] > 0
    shown = say("batch", "show", "mixed").out
    assert "no such thing" in shown
    assert say("batch", "run", "mixed.csv", "--name", "mixed", "--wait").code == 1


def test_one_cancel_ends_what_runs_and_what_waits(night: LiveEngine, say: Say, batch: Any) -> None:
    names = [f"stop-{n}" for n in range(1, 6)]
    for name in names:
        night.gate(name)
    shared = [bypassing("True")]
    batch("stop", *(project(n, HELD, variables=shared if n < "stop-3" else []) for n in names))
    night.await_inside("alone-1", "stop-1", "stop-2")

    assert say("batch", "cancel", "stop").code == 0

    assert night.await_batch("stop") == "cancelled"
    ended = [d for d in night.deployments() if d.project in names]
    assert {d.state.value for d in ended} == {"cancelled"}
    until(lambda: not night.services.queries.locks(), "all locks are free")
    assert sorted(night.begun("alone-1")) == ["stop-1", "stop-2"]
