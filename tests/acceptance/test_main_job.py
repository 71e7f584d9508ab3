"""Many releases at once, through all stages, with nobody at the keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.acceptance.catalogs import project, three_stages
from tests.support.engine import Entry, LiveEngine

PROJECTS = [f"app-{n}" for n in range(1, 9)]
MACHINES = ("qa-1", "stg-1", "stg-2", "prod-1", "prod-2", "prod-3", "prod-4")
STAGES = ["QA", "Staging", "Production"]


@pytest.fixture(scope="module")
def night() -> Iterator[LiveEngine]:
    """Eight releases in one batch have come to their end; the worker is still there."""
    with LiveEngine() as engine:
        engine.apply(three_stages(project("app-[1:8]")))
        engine.write("night.csv", "".join(f"{p}, 1.0\n" for p in PROJECTS))
        engine.worker(task_cap=4)
        engine.json("batch", "run", "night.csv", "--name", "night", "--wait")
        yield engine


@pytest.mark.parametrize("name", MACHINES)
def test_each_runs_once_and_alone_on_each_machine_in_ticket_order(
    night: LiveEngine, name: str
) -> None:
    journal = night.journal(name)
    assert _one_at_a_time(journal)
    assert sorted(night.begun(name)) == PROJECTS
    runs = [r for d in night.deployments() for r in night.detail(d.id).runs if r.machine == name]
    in_ticket_order = sorted(runs, key=lambda r: r.ticket or 0)
    begun = [e.run for e in journal if e.event == "begin"]
    assert begun == [f"run-{r.id}" for r in in_ticket_order]


def _one_at_a_time(journal: list[Entry]) -> bool:
    pairs = zip(journal[::2], journal[1::2], strict=True)
    return all((a.event, b.event) == ("begin", "end") and a.run == b.run for a, b in pairs)


def test_no_stage_begins_before_the_one_before_it_has_ended(night: LiveEngine) -> None:
    for release in night.json("batch", "show", "night")["releases"]:
        assert [d["environment"] for d in release["deployments"]] == STAGES
        details = [night.detail(d["id"]) for d in release["deployments"]]
        for before, after in pairwise(details):
            last = max(r.finished_at for r in before.runs if r.finished_at)
            first = min(r.started_at for r in after.runs if r.started_at)
            assert last <= first


def test_a_batch_tells_what_the_interface_promises(night: LiveEngine) -> None:
    said = night.json("batch", "show", "night")

    assert said["state"] == "succeeded"
    assert said["counts"]
    assert said["makespan_seconds"] > 0
    assert said["running_seconds"] > 0
    assert set(said["waits"]) >= {"machine_seconds", "tag_seconds", "task_cap_seconds"}
    assert [(r["project"], r["version"], r["state"]) for r in said["releases"]] == [
        (name, "1.0", "succeeded") for name in PROJECTS
    ]
    for release in said["releases"]:
        assert {d["state"] for d in release["deployments"]} == {"succeeded"}


def test_the_same_file_twice_does_nothing_new(night: LiveEngine) -> None:
    first = night.json("batch", "show", "night")
    journals = {m: night.journal(m) for m in MACHINES}

    again = night.json("batch", "run", "night.csv", "--name", "night", "--wait")

    assert again["releases"] == first["releases"]
    assert {m: night.journal(m) for m in MACHINES} == journals


def test_csv_and_yaml_give_the_same_batch(engine: LiveEngine) -> None:
    engine.apply(three_stages(project("app-[1:2]")))
    rows = [{"project": p, "version": "1.0"} for p in ("app-1", "app-2")]
    files: dict[str, Any] = {
        "bare.csv": "app-1, 1.0\napp-2, 1.0\n",
        "headed.csv": "project,version\napp-1,1.0\napp-2,1.0\n",
        "rows.yaml": json.dumps(rows),
        "under.yaml": 'releases:\n- [app-1, "1.0"]\n- [app-2, "1.0"]\n',
    }

    said = [engine.json("batch", "run", str(engine.write(n, t))) for n, t in files.items()]

    assert all(each == said[0] for each in said)
    assert len(said[0]["releases"]) == 2
