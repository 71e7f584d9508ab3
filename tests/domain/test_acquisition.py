"""Packages in releases and plans: what is frozen of them, and who is brought which, when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from deployengine.domain.acquisition import GROUP, MAX_PARALLELISM
from deployengine.domain.admission import Claim, Mode
from deployengine.domain.environment import Machine
from deployengine.domain.lifecycle import Lifecycle, Phase
from deployengine.domain.package import Package
from deployengine.domain.plan import ELSEWHERE, Plan
from deployengine.domain.planning import BadWindow, Destination, plan
from deployengine.domain.project import OnUnknown, StepKind
from deployengine.domain.release import Snapshot
from deployengine.domain.selection import WHOLE, Selection
from tests.domain.test_plan import ALL, DB, WEB, WEB_2, Opener, value

SHOP = Package("shop", "1.2", "releases", "shop.1.2.zip", 10, "a" * 64, "1234567890abcdef" * 4)
API = Package("api", "2.0", "releases", "api.2.0.zip", 10, "b" * 64, "fedcba0987654321" * 4)


def bring(package: str = "shop", **more: Any) -> dict[str, Any]:
    return {"name": f"Bring {package}", "kind": "package", "package": package, "feed": "f", **more}


def script(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "script": "true", **more}


def release(
    steps: Sequence[dict[str, Any]],
    *variables: dict[str, Any],
    packages: Sequence[Package] = (SHOP, API),
    **project: Any,
) -> Snapshot:
    document = {"name": "app", "variables": list(variables), "process": list(steps), **project}
    lifecycle = Lifecycle("auto", (Phase("first", ("QA",)),))
    return Snapshot.freeze(document, "1.0", None, lifecycle, [], packages)


def planned(
    snapshot: Snapshot,
    *,
    selection: Selection = WHOLE,
    machines: Sequence[Machine] = ALL,
    share: Claim | None = None,
) -> Plan:
    return plan(snapshot, Destination("QA", "first", machines, share), Opener(), selection)


def runs(made: Plan) -> dict[str, list[str]]:
    return {step.name: [run.machine.name for run in step.runs] for step in made.steps}


def stages(made: Plan) -> list[list[str]]:
    return [[made.steps[p].name for p in stage.positions] for stage in made.stages]


def test_what_a_release_freezes_of_its_packages_comes_out_again() -> None:
    frozen = release([bring()], packages=[SHOP])
    stored = Snapshot(json.loads(json.dumps(frozen.document)))
    assert stored.packages == {"shop": SHOP}
    assert stored.digest == frozen.digest


def test_another_content_under_the_same_version_is_another_release() -> None:
    other = Package("shop", "1.2", "releases", "shop.1.2.zip", 10, "c" * 64, "d" * 64)
    one, two = (release([bring()], packages=[p]) for p in (SHOP, other))
    assert one.digest != two.digest
    assert one.differences(two) == ["packages"]


def test_a_release_without_packages_is_stored_as_it_ever_was() -> None:
    assert "packages" not in release([script("A")], packages=[]).document


def test_packages_come_before_the_first_step_that_needs_one() -> None:
    made = planned(release([script("A"), bring(), script("B"), bring("api")]))
    assert stages(made) == [
        ["A"],
        ["Acquire shop", "Acquire api"],
        ["Bring shop"],
        ["B"],
        ["Bring api"],
    ]


def test_no_step_of_their_stage_waits_for_them_alone() -> None:
    beside = bring(start="with_previous")
    assert stages(planned(release([script("A"), script("B"), beside])))[:3] == [
        ["A"],
        ["Acquire shop"],
        ["B", "Bring shop"],
    ]


def test_they_come_before_the_rolling_group_that_needs_them() -> None:
    group = {
        "name": "Roll",
        "kind": "rolling",
        "steps": [script("A"), bring()],
        "before": {"script": "x"},
    }
    made = planned(release([script("First"), group]))
    assert stages(made)[1:] == [["Acquire shop"], ["Roll: before", "A", "Bring shop"]]


def test_only_machines_that_need_a_package_are_brought_it() -> None:
    steps = [bring(roles=["web"]), bring("api", roles=["cache"])]
    steps.append({**bring(), "name": "Again", "roles": ["db"]})
    assert runs(planned(release(steps))) == {
        "Acquire shop": ["web-1", "web-2", "db-1"],
        "Acquire api": ["web-2"],
        "Bring shop": ["web-1", "web-2"],
        "Bring api": ["web-2"],
        "Again": ["db-1"],
    }


def test_what_is_left_out_there_needs_nothing() -> None:
    steps = [bring(exclude_environments=["QA"]), bring("api")]
    made = planned(release(steps))
    assert [step.left_out for step in made.steps] == ["not in QA", None, "not in QA", None]
    skipped = planned(release([bring(), bring("api")]), selection=Selection(skip=("Bring api",)))
    assert [step.left_out for step in skipped.steps] == [None, "skipped on request"] * 2


def test_what_has_been_brought_into_use_is_not_brought_again_and_what_was_only_brought_is() -> None:
    done = (("Acquire shop", "web-1"), ("Bring shop", "web-1"), ("Acquire shop", "db-1"))
    made = planned(release([bring()]), selection=Selection(done=done))
    assert runs(made) == {"Acquire shop": ["web-2", "db-1"], "Bring shop": ["web-2", "db-1"]}


def test_to_bring_a_package_takes_nothing_of_the_machine() -> None:
    share = Claim("share:QA", Mode.SHARED, 5)
    run = planned(release([bring()]), share=share).steps[0].runs[0]
    package = Claim("package:web-1/1234567890ab", Mode.EXCLUSIVE)
    assert run.claims == run.touched == (package, share)
    assert run.own_lock == ELSEWHERE


def test_who_holds_its_machines_as_a_whole_holds_no_package_on_its_way() -> None:
    made = planned(release([bring()], mutex="deployment"), machines=[WEB])
    assert [claim.resource for claim in made.holds] == ["machine:web-1"]


def test_ten_machines_at_once_are_brought_packages_unless_the_variable_says_so() -> None:
    assert planned(release([bring()])).steps[0].pace.window == 10
    said = planned(release([bring()], value(MAX_PARALLELISM, "3")))
    assert [step.pace.window for step in said.steps] == [3, None]
    other = planned(release([bring()], value("Octopus.Action.MaxParallelism", "3")))
    assert [step.pace.window for step in other.steps] == [10, 3]
    with pytest.raises(BadWindow, match=MAX_PARALLELISM):
        planned(release([bring()], value(MAX_PARALLELISM, "many")))


def test_it_is_tried_as_often_as_the_steps_that_need_it_and_may_be_done_again() -> None:
    steps = [bring(retries=2, backoff_seconds=5.0), {**bring(retries=1), "name": "B"}]
    acquire = release(steps).process[0]
    assert (acquire.kind, acquire.package) == (StepKind.ACQUIRE, "shop")
    assert (acquire.retries, acquire.backoff_seconds) == (2, 5.0)
    assert (acquire.idempotent, acquire.on_unknown) == (True, OnUnknown.RERUN)
    assert acquire.required
    assert acquire.unit.name == GROUP


def test_a_plan_with_packages_survives_being_stored() -> None:
    made = planned(release([bring()]), machines=[WEB, WEB_2, DB])
    assert Plan.from_document(json.loads(json.dumps(made.to_document()))) == made
