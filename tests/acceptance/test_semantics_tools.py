"""Steps that use a tool: what each sentence of what they hold says, on real workers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.catalogs import HELD, SHORT, catalog, machine, project, step
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until
from tests.support.fleet import Target, fleet
from tests.support.sshd import tool
from tests.support.web_site import Reply, WebSite, web_site


@pytest.fixture
def site() -> Iterator[WebSite]:
    tool("curl")
    with web_site() as found:
        yield found


def look(url: str, **more: Any) -> dict[str, Any]:
    return {"name": "Look", "kind": "http", "url": url, "every": 0.1, **more}


# ---- looks ----


def test_a_look_waits_for_no_script_that_has_the_machine_and_keeps_none_waiting(
    running: LiveEngine, site: WebSite
) -> None:
    gate = running.gate("holder")
    running.apply(
        catalog(
            project("holder", HELD),
            project("looker", process=[look(site.url())]),
            project("whole", process=[look(site.url())], mutex="deployment"),
            project("next"),
        )
    )
    (holder,) = running.create("holder")
    running.await_inside("qa-1", "holder")
    for name in ("looker", "whole"):
        (deployment,) = running.create(name)
        assert running.await_end(deployment.id) == "succeeded"
    assert running.inside("qa-1") == {"holder"}
    site.replies = [Reply(503)]
    (patient,) = running.create("looker", version="2.0")
    until(lambda: len(site.asked) > 3, "a look that goes on")
    (after,) = running.create("next")
    running.await_line("machine:qa-1", ["holder"], "next")
    gate.open()
    assert running.await_end(holder.id) == "succeeded"
    assert running.await_end(after.id) == "succeeded"
    assert not running.detail(patient.id).deployment.state.final
    site.replies = [Reply(200)]
    assert running.await_end(patient.id) == "succeeded"


def test_a_look_that_is_cancelled_ends(running: LiveEngine, site: WebSite) -> None:
    site.replies = [Reply(503)]
    running.apply(catalog(project("cancelled", process=[look(site.url(), healthy_within="1h")])))
    (deployment,) = running.create("cancelled")
    until(lambda: site.asked, "a look")
    running.services.deployments.cancel(deployment.id)
    assert running.await_end(deployment.id) == "cancelled"


def test_a_secret_of_a_look_is_masked_wherever_it_comes_up(
    running: LiveEngine, site: WebSite, say: Say
) -> None:
    site.replies = [Reply(404, body="x")]
    token = {"name": "Token", "value": "t0ps3cret", "sensitive": True}
    checks = look(site.url("/#{Token}"), contains="#{Token}", expect=404, healthy_within=1)
    running.apply(catalog({**project("secretive", process=[checks]), "variables": [token]}))
    (deployment,) = running.create("secretive")
    assert running.await_end(deployment.id) == "failed"
    said = say("deployment", "log", f"dep-{deployment.id}").out
    assert "without ********" in said
    assert "t0ps3cret" not in said
    assert site.asked[0].path == "/t0ps3cret"


def test_a_value_that_no_tool_could_use_fails_the_run_before_anything_begins(
    running: LiveEngine, say: Say
) -> None:
    wrong = {"name": "Port", "value": "nowhere"}
    checks = look("http://localhost:#{Port}/")
    running.apply(catalog({**project("wrong", process=[checks]), "variables": [wrong]}))
    (deployment,) = running.create("wrong")
    assert running.await_end(deployment.id) == "failed"
    shown = json.loads(say("deployment", "show", f"dep-{deployment.id}", "--json").out)
    (run,) = shown["step_runs"]
    assert "url names no host" in json.dumps(run)
    assert (run["machine"], run["lock_mode"]) == ("qa-1", "none")


# ---- playbooks ----


def control_of(engine: LiveEngine) -> Path:
    """The folder of a local machine with a playbook that waits at the gate of its host."""
    folder = engine.home / "machines" / "control"
    folder.mkdir(parents=True)
    hosts = "".join(f"web-{n} ansible_connection=local\n" for n in (1, 2))
    (folder / "hosts").write_text(
        f"[all]\n{hosts}[all:vars]\nansible_python_interpreter={sys.executable}\n"
    )
    held = 'echo begun >> "$OUT"; read -r _ < "$SCRATCH/{{ inventory_hostname }}"'
    out = {"OUT": "{{ playbook_dir }}/{{ inventory_hostname }}"}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"shell": held, "environment": out}]}
    (folder / "site.yaml").write_text(json.dumps([play]))
    return folder


def test_a_playbook_holds_the_machine_that_it_is_for_and_shares_the_one_that_it_runs_on(
    engine: LiveEngine,
) -> None:
    control = control_of(engine)
    gates = {name: engine.gate(name) for name in ("web-1", "web-2", "others")}
    configure = {
        "name": "Configure", "kind": "ansible", "playbook": "site.yaml", "inventory": "hosts",
        "runs_on": "control", "roles": ["web"],
    }  # fmt: skip
    machines = [machine("web-1", "QA"), machine("web-2", "QA"), machine("control", "Edge")]
    engine.apply(
        catalog(
            project("playing", process=[configure]),
            project("others", process=[step(HELD, roles=["web"])]),
            environments=["QA", "Edge"],
            machines=machines,
        )
    )
    path = f"{Path(sys.executable).parent}:{engine.environ['PATH']}"
    engine.start("worker", "--task-cap", "4", PATH=path)
    (playing,) = engine.create("playing")
    for name in ("web-1", "web-2"):
        until((control / name).exists, f"a playbook at work for {name}, beside the other")
    (others,) = engine.create("others")
    for name in ("web-1", "web-2"):
        engine.await_line(f"machine:{name}", ["playing"], "others")
    assert engine.line("machine:control")[0] == ["playing", "playing"]
    gates["web-1"].open()
    engine.await_inside("web-1", "others")
    assert engine.inside("web-2") == set()
    gates["web-2"].open()
    assert engine.await_end(playing.id) == "succeeded"
    engine.await_inside("web-2", "others")
    gates["others"].open(2)
    assert engine.await_end(others.id) == "succeeded"
    shown = engine.json("deployment", "show", f"dep-{playing.id}")["step_runs"]
    assert [(r["machine"], r["runs_on"], r["lock_mode"]) for r in shown] == [
        ("web-1", "control", "shared"),
        ("web-2", "control", "shared"),
    ]


# ---- on machines that are reached by SSH ----


@pytest.fixture(scope="module")
def three() -> Iterator[list[Target]]:
    with fleet(["web-1", "web-2", "web-3"]) as targets:
        yield targets


def test_a_machine_that_never_becomes_healthy_is_left_out_and_the_others_go_on(
    engine: LiveEngine, three: list[Target]
) -> None:
    tool("curl")
    with web_site() as well, web_site() as slow, web_site() as sick:
        slow.replies = [Reply(503), Reply(503), Reply(200)]
        sick.replies = [Reply(503, body="starting")]
        ports = [
            {"name": "Port", "value": site.port, "scope": {"machines": [target.name]}}
            for target, site in zip(three, (well, sick, slow), strict=True)
        ]
        group = {
            "name": "Renew", "kind": "rolling", "roles": ["web"], "on_failure": "exclude",
            "steps": [
                step(SHORT, name="Install"),
                look("http://127.0.0.1:#{Port}/health", healthy_within=2, successes=2),
                step(SHORT, name="Open"),
            ],
        }  # fmt: skip
        engine.apply(
            catalog(
                {**project("shop", process=[group]), "variables": ports},
                machines=[target.machine("QA") for target in three],
            )
        )
        engine.worker(task_cap=4)
        (deployment,) = engine.create("shop")
        assert engine.await_end(deployment.id) == "succeeded"
        assert engine.detail(deployment.id).deployment.message == "without web-2"
        steps = {t.name: [words[3] for words in t.journal() if words[0] == "begin"] for t in three}
        assert steps == {
            "web-1": ["Install", "Open"],
            "web-2": ["Install"],
            "web-3": ["Install", "Open"],
        }
        assert len(well.asked) == 2
        assert len(slow.asked) == 4
        said = engine.cli("deployment", "log", f"dep-{deployment.id}").out
        assert "was not healthy within 2 s: it answered 503, not 200-399" in said
