"""Plans: which steps run on which machines, and what each run must hold meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError
from deployengine.domain.flags import BYPASS, UnparsableFlag
from deployengine.domain.lifecycle import Lifecycle, Phase
from deployengine.domain.plan import Plan
from deployengine.domain.planning import (
    CONCURRENCY_TAG,
    MAX_PARALLELISM,
    BadTag,
    BadWindow,
    Destination,
    plan,
)
from deployengine.domain.release import Snapshot
from deployengine.domain.variables import AmbiguousVariable, Sealed

WEB = Machine("web-1", ("QA",), ("web",))
WEB_2 = Machine("web-2", ("QA",), ("web", "cache"), max_concurrent=4)
DB = Machine("db-1", ("QA",), ("db",))
ALL = (WEB, WEB_2, DB)

EXCLUSIVE, SHARED = Mode.EXCLUSIVE, Mode.SHARED


def value(name: str, text: Any, **scope: list[str]) -> dict[str, Any]:
    sensitive = isinstance(text, dict)
    return {"name": name, "value": text, "sensitive": sensitive, "scope": scope}


def release(
    *variables: dict[str, Any],
    steps: Sequence[Mapping[str, Any]] | None = None,
    sets: list[Mapping[str, Any]] | None = None,
    channel: str | None = None,
) -> Snapshot:
    process = steps or [{"name": "Install", "script": "true"}]
    project = {"name": "app", "variables": list(variables), "process": process}
    lifecycle = Lifecycle("auto", (Phase("first", ("QA",)),))
    return Snapshot.freeze(project, "1.0", channel, lifecycle, sets or [])


def planned(snapshot: Snapshot, *machines: Machine, environment: str = "QA") -> Plan:
    return plan(snapshot, Destination(environment, "first", machines or ALL), Opener())


class Opener:
    """Opens what ``sealed`` has sealed."""

    def __call__(self, sealed: Sealed) -> str:
        return sealed.cipher.removeprefix("cipher of ")

    def fingerprint(self, text: str) -> str:
        return f"{len(text)} letters".ljust(64)


def sealed(name: str, text: str) -> dict[str, Any]:
    return value(name, {"cipher": f"cipher of {text}", "mac": "m"})


def modes(made: Plan, step: int = 0) -> dict[str, str]:
    return {run.machine.name: run.lock_mode.value for run in made.steps[step].runs}


def test_a_step_runs_on_every_machine_that_bears_one_of_its_roles_in_catalog_order() -> None:
    steps: list[dict[str, Any]] = [
        {"name": "everywhere", "script": "true"},
        {"name": "web", "script": "true", "roles": ["web"]},
        {"name": "either", "script": "true", "roles": ["db", "cache"]},
        {"name": "nowhere", "script": "true", "roles": ["mail"]},
    ]
    made = planned(release(steps=steps))
    assert {step.name: [run.machine.name for run in step.runs] for step in made.steps} == {
        "everywhere": ["web-1", "web-2", "db-1"],
        "web": ["web-1", "web-2"],
        "either": ["web-2", "db-1"],
        "nowhere": [],
    }


def test_a_machine_is_taken_whole_unless_something_says_otherwise() -> None:
    made = planned(release())
    assert [run.claims for run in made.steps[0].runs] == [
        (Claim("machine:web-1", EXCLUSIVE),),
        (Claim("machine:web-2", EXCLUSIVE),),
        (Claim("machine:db-1", EXCLUSIVE),),
    ]


@pytest.mark.parametrize(
    ("scope", "shared"),
    [
        ({}, {"web-1", "web-2", "db-1"}),
        ({"environments": ["QA"]}, {"web-1", "web-2", "db-1"}),
        ({"environments": ["Production"]}, set()),
        ({"machines": ["web-1"]}, {"web-1"}),
        ({"roles": ["web"]}, {"web-1", "web-2"}),
        ({"roles": ["cache", "db"]}, {"web-2", "db-1"}),
        ({"steps": ["Install"]}, {"web-1", "web-2", "db-1"}),
        ({"steps": ["Remove"]}, set()),
        ({"channels": ["hotfix"]}, {"web-1", "web-2", "db-1"}),
        ({"channels": ["other"]}, set()),
        ({"phases": ["first"]}, {"web-1", "web-2", "db-1"}),
        ({"environments": ["QA"], "roles": ["db"]}, {"db-1"}),
        ({"environments": ["Production"], "roles": ["db"]}, set()),
    ],
)
def test_the_bypass_holds_where_its_scope_says(
    scope: dict[str, list[str]], shared: set[str]
) -> None:
    made = planned(release(value(BYPASS, "True", **scope), channel="hotfix"))
    assert {name for name, mode in modes(made).items() if mode == "shared"} == shared


def test_the_bypass_may_be_lifted_again_for_a_more_specific_place() -> None:
    made = planned(
        release(value(BYPASS, "True", roles=["web"]), value(BYPASS, "False", machines=["web-2"]))
    )
    assert modes(made) == {"web-1": "shared", "web-2": "exclusive", "db-1": "exclusive"}


def test_the_bypass_may_stand_in_a_set_and_the_projects_own_word_comes_before_it() -> None:
    shared = {"name": "Shared", "variables": [value(BYPASS, "True")]}
    assert set(modes(planned(release(sets=[shared]))).values()) == {"shared"}
    own = value(BYPASS, "False")
    assert set(modes(planned(release(own, sets=[shared]))).values()) == {"exclusive"}


def test_the_first_of_two_sets_that_are_even_is_heard() -> None:
    yes = {"name": "yes", "variables": [value(BYPASS, "True")]}
    no = {"name": "no", "variables": [value(BYPASS, "False")]}
    assert set(modes(planned(release(sets=[yes, no]))).values()) == {"shared"}
    assert set(modes(planned(release(sets=[no, yes]))).values()) == {"exclusive"}


def test_the_bypass_may_refer_to_another_variable() -> None:
    whether = value("Whether", "no"), value("Whether", "yes", machines=["db-1"])
    made = planned(release(value(BYPASS, "#{Whether}"), *whether))
    assert modes(made) == {"web-1": "exclusive", "web-2": "exclusive", "db-1": "shared"}


def test_the_bypass_may_be_sealed_and_is_not_shown_when_it_is_wrong() -> None:
    assert set(modes(planned(release(sealed(BYPASS, "True")))).values()) == {"shared"}
    with pytest.raises(UnparsableFlag) as refused:
        planned(release(sealed(BYPASS, "hush")))
    assert "hush" not in str(refused.value)


def test_a_bypass_that_says_neither_is_refused_with_its_value_and_source() -> None:
    shared = {"name": "Shared", "variables": [value(BYPASS, "Treu")]}
    with pytest.raises(UnparsableFlag, match=r'variable set Shared: .* "Treu"'):
        planned(release(sets=[shared]))


def test_a_bypass_that_says_neither_elsewhere_is_no_obstacle_here() -> None:
    made = planned(release(value(BYPASS, "Treu", environments=["Production"])))
    assert set(modes(made).values()) == {"exclusive"}


def test_two_even_values_of_one_source_are_refused() -> None:
    with pytest.raises(AmbiguousVariable):
        planned(release(value(BYPASS, "True"), value(BYPASS, "False")))


@pytest.mark.parametrize(
    ("text", "tag"), [("one ", "one"), (" ", "app/QA"), ("x" * 200, "x" * 200)]
)
def test_a_task_tag_is_trimmed_and_a_blank_one_is_none(text: str, tag: str) -> None:
    assert planned(release(value(CONCURRENCY_TAG, text))).tag == tag


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "x" * 201])
def test_a_task_tag_that_no_list_could_show_is_refused(text: str) -> None:
    with pytest.raises(BadTag, match="can be no tag"):
        planned(release(value(CONCURRENCY_TAG, text)))


@pytest.mark.parametrize(
    ("one", "other", "tied"),
    [
        ({}, {}, True),
        ({"roles": ["web"]}, {"roles": ["cache"]}, True),  # web-2 bears both
        ({"roles": ["web"]}, {"roles": ["db"]}, False),
        ({"machines": ["web-1", "web-2"]}, {"machines": ["web-2"]}, True),
        ({"machines": ["web-1"]}, {"machines": ["web-2"]}, False),
        ({"steps": ["Install"]}, {"steps": ["Install"]}, True),
        ({"steps": ["Other"]}, {"steps": ["Other"]}, False),
        ({"roles": ["web"]}, {}, False),
        ({"environments": ["Production"]}, {"environments": ["Production"]}, False),
    ],
)
def test_a_tie_of_any_variable_that_some_run_would_meet_is_refused_before_anything_runs(
    one: dict[str, list[str]], other: dict[str, list[str]], tied: bool
) -> None:
    snapshot = release(value("Port", "80", **one), value("port ", "81", **other))
    if not tied:
        planned(snapshot)
        return
    with pytest.raises(AmbiguousVariable, match=r'Port has two values.*"80".*"81"'):
        planned(snapshot)


def test_a_tie_in_a_step_that_is_left_out_is_no_obstacle() -> None:
    steps = [
        {"name": "Install", "script": "true"},
        {"name": "Other", "script": "true", "environments": ["Production"]},
    ]
    scope = {"steps": ["Other"]}
    planned(release(value("Port", "80", **scope), value("Port", "81", **scope), steps=steps))


def test_a_step_that_names_what_it_touches_shares_the_machine_and_claims_that() -> None:
    touches = [
        {"resource": "iis"},
        {"resource": "config", "mode": "shared"},
        {"resource": "billing", "everywhere": True},
    ]
    steps = [{"name": "Install", "script": "true", "touches": touches}]
    (run,) = planned(release(steps=steps), WEB).steps[0].runs
    assert run.claims == (
        Claim("machine:web-1", SHARED),
        Claim("resource:web-1/iis", EXCLUSIVE),
        Claim("resource:web-1/config", SHARED),
        Claim("resource:billing", EXCLUSIVE),
    )
    assert run.lock_mode is SHARED


def test_touching_needs_no_bypass_and_a_false_one_does_not_undo_it() -> None:
    steps = [{"name": "Install", "script": "true", "touches": [{"resource": "iis"}]}]
    assert modes(planned(release(value(BYPASS, "False"), steps=steps), WEB)) == {"web-1": "shared"}


def test_the_same_resource_on_two_machines_is_two_unless_it_is_everywhere() -> None:
    touches = [{"resource": "iis"}, {"resource": "billing", "everywhere": True}]
    steps = [{"name": "Install", "script": "true", "touches": touches}]
    runs = planned(release(steps=steps), WEB, DB).steps[0].runs
    names = [{claim.resource for claim in run.claims} for run in runs]
    assert names[0] & names[1] == {"resource:billing"}


def test_max_concurrent_bounds_those_who_share_and_is_no_matter_to_who_is_alone() -> None:
    (alone,) = planned(release(), WEB_2).steps[0].runs
    assert alone.claims[0].limit is None
    (shared,) = planned(release(value(BYPASS, "True")), WEB_2).steps[0].runs
    assert shared.claims == (Claim("machine:web-2", SHARED, 4),)


def test_the_task_tag_is_project_and_environment_unless_a_variable_names_another() -> None:
    assert planned(release()).tag == "app/QA"
    assert planned(release(value(CONCURRENCY_TAG, "one at a time"))).tag == "one at a time"
    scoped = release(value(CONCURRENCY_TAG, "slow", environments=["Production"]))
    assert planned(scoped).tag == "app/QA"
    assert planned(scoped, environment="Production").tag == "slow"


def test_the_task_tag_may_refer_to_other_variables() -> None:
    made = planned(release(value(CONCURRENCY_TAG, "for #{Team}"), value("Team", "blue")))
    assert made.tag == "for blue"


@pytest.mark.parametrize(
    "variables",
    [
        [sealed(CONCURRENCY_TAG, "hush!")],
        [value(CONCURRENCY_TAG, "#{Database}"), sealed("Database", "hush!")],
        [
            value(CONCURRENCY_TAG, "#{Between}"),
            value("Between", "#{Database}"),
            sealed("Database", "hush!"),
        ],
    ],
)
def test_a_task_tag_that_is_secret_or_made_from_a_secret_is_a_fingerprint(
    variables: list[dict[str, Any]],
) -> None:
    made = planned(release(*variables))
    assert made.tag.strip() == "secret:5 letters"
    assert "hush" not in json.dumps(made.to_document())


@pytest.mark.parametrize("name", [BYPASS, MAX_PARALLELISM])
def test_a_switch_that_is_made_from_a_secret_is_not_shown_when_it_is_wrong(name: str) -> None:
    with pytest.raises(RequestError) as refused:
        planned(release(value(name, "#{Hidden} or so"), sealed("Hidden", "hush")))
    assert "********" in str(refused.value)
    assert "hush" not in f"{refused.value} {refused.value!r}"


def test_an_empty_task_tag_means_the_default() -> None:
    assert planned(release(value(CONCURRENCY_TAG, ""))).tag == "app/QA"


def test_a_plan_comes_back_from_its_document_as_it_was() -> None:
    touches = [{"resource": "iis"}, {"resource": "billing", "everywhere": True, "mode": "shared"}]
    steps: list[dict[str, Any]] = [
        {"name": "Install", "script": "true"},
        {"name": "Check", "script": "true", "roles": ["db"], "touches": touches},
        {"name": "Nowhere", "script": "true", "roles": ["mail"]},
    ]
    made = planned(release(value(BYPASS, "True", roles=["web"]), steps=steps))
    assert Plan.from_document(made.to_document()) == made


def test_a_plans_document_is_plain_json() -> None:
    document = planned(release(value(BYPASS, "True"))).to_document()
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("window", ["0", "-1", "00", "1.5", "all", "", "²"])
def test_a_window_that_is_no_number_of_machines_is_refused(window: str) -> None:
    with pytest.raises(BadWindow, match="which is no number of machines") as refused:
        planned(release(value(MAX_PARALLELISM, window)))
    assert repr(window) in str(refused.value)


def test_a_window_of_one_is_the_smallest() -> None:
    (made,) = planned(release(value(MAX_PARALLELISM, " 1 "))).steps
    assert made.pace.window == 1
