"""What a catalog says comes out of its documents again: no key is lost on the way to the domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployengine.catalog import load
from deployengine.catalog.process import After, Before, GroupStep
from deployengine.catalog.process import Step as StepModel
from deployengine.catalog.schema import Phase as PhaseModel
from deployengine.catalog.schema import Project as ProjectModel
from deployengine.domain.admission import Mode
from deployengine.domain.availability import Policy
from deployengine.domain.lifecycle import Lifecycle, Phase
from deployengine.domain.project import (
    Hook,
    Mutex,
    OnFailure,
    OnStale,
    OnUnknown,
    Project,
    Rolling,
    Step,
    StepKind,
    Touch,
    steps_of,
)
from deployengine.domain.tools import (
    ComposeProject,
    HttpCheck,
    Playbook,
    Tool,
    UnitAction,
    tool_of,
)
from tests.catalog.conftest import SMALL


@dataclass(frozen=True)
class Said:
    """What a file may say at a key, and what the domain has by which name then."""

    value: Any
    name: str
    read: Any


def said(value: Any, name: str, read: Any = None) -> Said:
    return Said(value, name, value if read is None else read)


RUNS = {
    "timeout": said("15m", "timeout_seconds", 900.0),
    "touches": said(
        ["iis", {"resource": "db", "mode": "shared", "everywhere": True}],
        "touches",
        (Touch("iis"), Touch("db", Mode.SHARED, everywhere=True)),
    ),
    "idempotent": said(True, "idempotent"),
    "on_unknown": said("ask", "on_unknown", OnUnknown.ASK),
    "on_stale": said("terminate", "on_stale", OnStale.TERMINATE),
    "condition": said("#{if Go}yes#{/if}", "condition"),
    "runs_on": said("qa-1", "runs_on"),
}
RETRIES = {"retries": said(2, "retries"), "backoff": said("1m30s", "backoff_seconds", 90.0)}
WHERE = {
    "environments": said(["QA"], "environments", ("QA",)),
    "exclude_environments": said(["Production"], "exclude_environments", ("Production",)),
    "channels": said(["hotfix"], "channels", ("hotfix",)),
    "required": said(True, "required"),
}
MACHINES = {"roles": said(["web", "db"], "roles", ("web", "db"))}
START = {"start": said("with_previous", "with_previous", True)}
ASKS = {
    "condition": said("always", "condition"),
    "responsible": said(["alice", "bob"], "responsible", ("alice", "bob")),
    "keep_tag": said(True, "keep_tag"),
}
ROLLS = {
    "max_parallel": said(3, "window"),
    "ramp": said([1, "10%"], "ramp", (1, "10%")),
    "on_failure": said("exclude", "on_failure", OnFailure.EXCLUDE),
    "max_failures": said("20%", "max_failures"),
    "condition": said("failure", "condition"),
}
HOOK = {key: each for key, each in {**RUNS, **RETRIES}.items() if key != "condition"}
SCRIPT = {
    **RUNS, **RETRIES, **WHERE, **MACHINES, **START, "max_parallel": said(3, "max_parallel"),
}  # fmt: skip
USES = {
    "substitute": said(["*.conf"], "substitute", ("*.conf",)),
    "settings": said(["a.json", "*.yaml"], "settings", ("a.json", "*.yaml")),
    "keep": said(7, "keep"),
    "into": said("/opt/shop", "into"),
}
PACKAGE = {**{key: each for key, each in SCRIPT.items() if key != "runs_on"}, **USES}
HTTP = {
    "method": said("HEAD", "method"),
    "headers": said(
        {"X-A": "#{Octopus.Machine.Name}", "X-N": 7},
        "headers",
        {"X-A": "#{Octopus.Machine.Name}", "X-N": "7"},
    ),
    "expect": said([204, "300-302"], "expect", ["204", "300-302"]),
    "healthy_within": said("2m", "healthy_within", 120.0),
    "every": said("#{Octopus.Machine.Name}", "every"),
    "answer_within": said(5, "answer_within", 5.0),
    "successes": said(2, "successes"),
    "insecure_tls": said(True, "insecure_tls"),
}
HTTP_BODY = {"body": said("b", "body"), "contains": said("/ok/", "contains")}
SYSTEMD = {
    "action": said("reload", "action"),
    "active_within": said("1m", "active_within", 60.0),
    "stable": said(0.5, "stable"),
    "scope": said("user", "scope"),
    "daemon_reload": said("#{Octopus.Machine.Name}", "daemon_reload"),
}
COMPOSE = {
    "project": said("shop", "project"),
    "services": said("web", "services", ["web"]),
    "env_file": said([".env"], "env_file"),
    "environment": said({"A": "#{Octopus.Machine.Name}"}, "environment"),
    "pull": said(False, "pull"),
    "build": said(True, "build"),
    "remove_orphans": said(True, "remove_orphans"),
    "healthy_within": said("#{Octopus.Machine.Name}", "healthy_within"),
}
ANSIBLE = {
    "inventory": said("hosts", "inventory"),
    "extra_vars": said({"a": [1, 0.5, True, None, {"b": "#{Octopus.Machine.Name}"}]}, "extra_vars"),
    "tags": said("web", "tags", ["web"]),
    "check": said(True, "check"),
}
#: What each kind needs, what the domain makes of that alone, and what else may be said.
TOOLS: dict[str, tuple[dict[str, Any], Tool, Mapping[str, Said]]] = {
    "http": ({"url": "http://x"}, HttpCheck("http://x"), HTTP),
    "systemd": ({"unit": "shop"}, UnitAction(["shop"]), SYSTEMD),
    "docker-compose": ({"files": ["c.yaml"]}, ComposeProject(["c.yaml"]), COMPOSE),
    "ansible": ({"playbook": "p", "runs_on": "qa-1"}, Playbook("p"), ANSIBLE),
}
TOOL_KEYS = {
    *HTTP, *HTTP_BODY, *SYSTEMD, *COMPOSE, *ANSIBLE, "url", "unit", "files", "playbook",
}  # fmt: skip
MANUAL = {**ASKS, **WHERE, **START}
GROUP = {**ROLLS, **WHERE, **MACHINES, **START}
CHILD = {**RUNS, **RETRIES}
PROJECT = {
    "mutex": said("deployment", "mutex", Mutex.DEPLOYMENT),
    "supersede": said(True, "supersede"),
    "guided_failure": said(False, "guided_failure", False),
    "share": said(4, "share"),
    "priority": said(-3, "priority"),
    "unavailable_machines": said("wait", "unavailable_machines", Policy.WAIT),
}
PHASE = {
    "automatic": said(["QA"], "automatic", ("QA",)),
    "manual": said(["Production"], "manual", ("Production",)),
    "minimum": said(1, "minimum"),
    "optional": said(True, "optional"),
    "priority": said(5, "priority"),
    "keep_releases": said(7, "keep_releases"),
}

Chosen = Mapping[str, Said]


def some(known: Chosen) -> st.SearchStrategy[Chosen]:
    """Some of these keys; none without another one that it makes no sense without."""
    chosen = st.sets(st.sampled_from(sorted(known)))
    needs = {"backoff": "retries", "max_failures": "on_failure"}
    return chosen.filter(
        lambda keys: all(need in keys for key, need in needs.items() if key in keys)
    ).map(lambda keys: {key: known[key] for key in keys})


def keys(chosen: Chosen) -> dict[str, Any]:
    return {key: each.value for key, each in chosen.items()}


def read(*chosen: Chosen) -> dict[str, Any]:
    return {each.name: each.read for part in chosen for each in part.values()}


def differing(found: Any, plain: Any) -> dict[str, Any]:
    """The fields of a value of the domain that are not as in another one."""
    return {
        field.name: getattr(found, field.name)
        for field in fields(found)
        if getattr(found, field.name) != getattr(plain, field.name)
    }


def loaded(folder: Path, **project: Any) -> Mapping[str, Any]:
    """The document of the small catalog's project with these keys."""
    document = yaml.safe_load(SMALL)
    document["projects"][0] |= project
    document["feeds"] = [{"name": "f", "url": "feed"}]
    file = folder / "catalog.yaml"
    file.write_text(yaml.safe_dump(document))
    return load([file]).of("project")[0].document


def steps(folder: Path, *process: Mapping[str, Any]) -> tuple[Step, ...]:
    """What the domain reads of a process that begins with one plain step."""
    first = {"name": "First", "script": "ls"}
    return steps_of(loaded(folder, process=[first, *process])["process"])[1:]


anything = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_all_keys_of_the_schema_are_tried_below() -> None:
    rest = {"name", "kind", "script", "instructions", "steps", "before", "after"}
    rest |= {"package", "feed", *TOOL_KEYS}
    assert set(StepModel.model_fields) == {*SCRIPT, *PACKAGE, *MANUAL, *GROUP} | rest
    assert set(GroupStep.model_fields) - rest == {*CHILD, *USES}
    assert set(Before.model_fields) - rest == {*HOOK}
    assert set(After.model_fields) - rest == {*HOOK, "always"}
    other = {"name", "lifecycle", "channels", "include", "variables", "process"}
    assert set(ProjectModel.model_fields) - other == {*PROJECT}
    assert set(PhaseModel.model_fields) - {"name"} == {*PHASE}


@anything
@given(some(SCRIPT))
def test_a_script_step_keeps_all_that_is_said_of_it(tmp_path: Path, chosen: Chosen) -> None:
    (step,) = steps(tmp_path, {"name": "S", "script": "ls", **keys(chosen)})
    assert differing(step, Step("S", "ls")) == read(chosen)


@anything
@given(some(PACKAGE), st.booleans())
def test_a_package_step_keeps_all_that_is_said_of_it_within_a_group_too(
    tmp_path: Path, chosen: Chosen, grouped: bool
) -> None:
    if grouped:
        chosen = {key: each for key, each in chosen.items() if key in {**CHILD, **USES}}
    said_of_it = {"name": "S", "kind": "package", "package": "shop", "feed": "f", **keys(chosen)}
    around = {"name": "G", "kind": "rolling", "steps": [said_of_it]} if grouped else said_of_it
    (step,) = steps(tmp_path, around)
    plain = Step("S", kind=StepKind.PACKAGE, package="shop", feed="f", into="packages/shop")
    assert differing(step, replace(plain, rolling=Rolling("G") if grouped else None)) == read(
        chosen
    )


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize("grouped", [False, True])
def test_a_step_that_uses_a_tool_keeps_all_that_is_said_of_it_within_a_group_too(
    tmp_path: Path, kind: str, grouped: bool
) -> None:
    needed, plain, more = TOOLS[kind]

    @anything
    @given(some(more), some({"timeout": RUNS["timeout"], "touches": RUNS["touches"]}))
    def check(chosen: Chosen, around: Chosen) -> None:
        whole = {"name": "S", "kind": kind, **needed, **keys(chosen), **keys(around)}
        group = {"name": "G", "kind": "rolling", "steps": [whole]}
        (step,) = steps(tmp_path, group if grouped else whole)
        assert differing(step.tool, plain) == read(chosen)
        bare = Step("S", kind=StepKind(kind), tool=step.tool, runs_on=needed.get("runs_on"))
        bare = replace(bare, rolling=Rolling("G") if grouped else None)
        assert differing(step, bare) == read(around)

    check()


def test_the_body_and_what_is_sought_are_kept(tmp_path: Path) -> None:
    check = {"name": "S", "kind": "http", "url": "http://x", **keys(HTTP_BODY)}
    (step,) = steps(tmp_path, check)
    assert differing(step.tool, HttpCheck("http://x")) == read(HTTP_BODY)


def test_what_an_older_document_writes_out_as_nothing_is_as_it_is_anyway() -> None:
    document = {"kind": "http", "url": "http://x", "healthy_within": None}
    assert tool_of(document) == HttpCheck("http://x")


@anything
@given(some(MANUAL))
def test_a_manual_step_keeps_all_that_is_said_of_it(tmp_path: Path, chosen: Chosen) -> None:
    plain = {"name": "S", "kind": "manual", "instructions": "Look"}
    (step,) = steps(tmp_path, {**plain, **keys(chosen)})
    asked = Step("S", kind=StepKind.MANUAL, instructions="Look")
    assert differing(step, asked) == read(chosen)


@anything
@given(some(ROLLS), some({**WHERE, **MACHINES}), some(START), some(CHILD), some(CHILD))
def test_a_rolling_group_keeps_all_that_is_said_of_it_and_of_its_steps(
    tmp_path: Path, rolls: Chosen, where: Chosen, start: Chosen, one: Chosen, other: Chosen
) -> None:
    children = [{"name": name, "script": "ls", **keys(c)} for name, c in (("A", one), ("B", other))]
    group = {**keys(rolls), **keys(where), **keys(start)}
    first, second = steps(tmp_path, {"name": "G", "kind": "rolling", "steps": children, **group})
    # After a ramp the rest goes at once.
    window = {"window": None} if "ramp" in rolls and "max_parallel" not in rolls else {}
    rolling = Rolling("G", **read(rolls), **window)
    assert differing(first, Step("A", "ls", rolling=rolling)) == read(where, start, one)
    assert differing(second, Step("B", "ls", rolling=rolling)) == read(where, other)


@anything
@given(some(HOOK), some(HOOK), st.booleans())
def test_a_hook_of_a_rolling_group_is_a_step_of_it_with_all_that_is_said_of_it(
    tmp_path: Path, before: Chosen, after: Chosen, always: bool
) -> None:
    group = {
        "before": {"script": "out", **keys(before)},
        "after": {"script": "in", "always": always, **keys(after)},
        "steps": [{"name": "A", "script": "ls"}],
    }
    first, _, last = steps(tmp_path, {"name": "G", "kind": "rolling", **group})
    rolling = Rolling("G")
    out = Step("G: before", "out", rolling=rolling, hook=Hook.BEFORE)
    assert differing(first, out) == read(before)
    put_back = Step("G: after", "in", rolling=rolling, hook=Hook.AFTER)
    put_back = replace(put_back, condition="always" if always else "success")
    assert differing(last, put_back) == read(after)


@anything
@given(some(PROJECT))
def test_a_project_keeps_all_that_is_said_of_it(tmp_path: Path, chosen: Chosen) -> None:
    plain = Project.from_document(loaded(tmp_path))
    assert plain.guided_failure is None
    found = Project.from_document(loaded(tmp_path, **keys(chosen)))
    assert differing(found, plain) == read(chosen)


@anything
@given(some(PHASE))
def test_a_phase_keeps_all_that_is_said_of_it(tmp_path: Path, chosen: Chosen) -> None:
    document = yaml.safe_load(SMALL)
    document["lifecycles"][0]["phases"] = [{"name": "P", **keys(chosen)}]
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump(document))
    found = Lifecycle.from_document(load([file]).of("lifecycle")[0].document)
    assert differing(found.phases[0], Phase("P")) == read(chosen)
    assert Lifecycle.from_document(found.to_document()) == found
