"""Environments, machines, lifecycles, channels, sets and freezes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.importing.conftest import Make
from tests.importing.octopus import action, bash, process, shop, step


def test_environments_stand_in_the_order_of_octopus(make: Make) -> None:
    made = make(shop(qa={"SortOrder": 9, "UseGuidedFailure": True, "Description": "For testers"}))

    assert made.catalog["environments"] == [
        {"name": "Production"},
        {"name": "QA", "description": "For testers", "guided_failure": True},
    ]


def test_a_machine_runs_on_this_host_with_a_note_of_how_it_was_reached(make: Make) -> None:
    made = make(shop())

    assert made.catalog["machines"] == [
        {
            "name": "web-1",
            "environments": ["QA", "Production"],
            "roles": ["web"],
            "connection": {"kind": "local"},
        }
    ]
    assert made.told("machine web-1") == [
        "an SSH target, host web-1.example, port 22; its scripts run on this host, in machines/NAME"
    ]
    assert "  # an SSH target, host web-1.example, port 22; its scripts run" in made.text


def test_machines_that_are_disabled_or_belong_nowhere_are_left_out(make: Make) -> None:
    spare = {"Id": "Machines-2", "Name": "spare", "EnvironmentIds": [], "Roles": ["web"]}

    made = make(shop(machine={"IsDisabled": True}, more={"spare": spare}))

    assert made.told("machine web-1") == ["it is disabled; left out"]
    assert made.told("machine spare") == ["it belongs to no environment; left out"]


def test_a_role_that_no_machine_has_gets_a_stand_in_in_each_environment(make: Make) -> None:
    """The zip of Export/Import Projects never holds machines."""
    made = make([each for each in shop() if each["Id"] != "Machines-1"])

    assert [(each["environments"], each["roles"]) for each in made.catalog["machines"]] == [
        (["QA"], ["web"]),
        (["Production"], ["web"]),
    ]
    assert "no machine of the export has the roles web" in made.text


def test_a_phase_keeps_how_many_must_succeed_and_whether_it_may_be_passed_over(make: Make) -> None:
    phases = [
        {
            "Name": "First",
            "AutomaticDeploymentTargets": ["Environments-1"],
            "OptionalDeploymentTargets": ["Environments-2"],
            "MinimumEnvironmentsBeforePromotion": 1,
            "IsOptionalPhase": True,
            "IsPriorityPhase": True,
            "ReleaseRetentionPolicy": {"Unit": "Items", "QuantityToKeep": 3},
        }
    ]

    made = make(shop(lifecycle={"Phases": phases}))

    assert made.catalog["lifecycles"][0]["phases"] == [
        {
            "name": "First",
            "automatic": ["QA"],
            "manual": ["Production"],
            "minimum": 1,
            "optional": True,
            "priority": 1,
            "keep_releases": 3,
        }
    ]


def test_a_phase_without_environments_stays_the_one_of_all_others(make: Make) -> None:
    phases = [{"Name": "QA", "AutomaticDeploymentTargets": ["Environments-1"]}, {"Name": "Rest"}]

    made = make(shop(lifecycle={"Phases": phases}))

    assert made.catalog["lifecycles"][0]["phases"][1] == {"name": "Rest"}


def test_phases_that_could_not_work_here_are_told(make: Make) -> None:
    both = ["Environments-1", "Environments-2"]
    phases = [
        {"Name": "One", "OptionalDeploymentTargets": both, "MinimumEnvironmentsBeforePromotion": 5},
        {"Name": "Two", "AutomaticDeploymentTargets": ["Environments-1"]},
        {"Name": "Three"},
    ]

    made = make(shop(lifecycle={"Phases": phases}))

    (phase,) = made.catalog["lifecycles"][0]["phases"]
    assert phase == {"name": "One", "manual": ["QA", "Production"]}
    assert made.told("phase One") == [
        "5 environments must succeed, but the phase has 2; all of them must"
    ]
    assert made.told("phase Two") == [
        "QA stands here a second time; its first place counts",
        "earlier phases have all of its environments; the phase is left out",
    ]
    assert made.told("phase Three") == [
        "earlier phases have all of its environments; the phase is left out"
    ]


def test_a_lifecycle_without_phases_has_one_for_each_environment_by_hand(make: Make) -> None:
    made = make(shop(lifecycle={"Phases": []}))

    assert made.catalog["lifecycles"][0]["phases"] == [
        {"name": "QA", "manual": ["QA"]},
        {"name": "Production", "manual": ["Production"]},
    ]


def test_releases_without_a_channel_go_by_the_default_one(make: Make) -> None:
    other = {"Id": "Lifecycles-2", "Name": "Manual", "Phases": []}
    default = {
        "Id": "Channels-1",
        "Name": "Default",
        "ProjectId": "Projects-1",
        "LifecycleId": "Lifecycles-2",
        "IsDefault": True,
    }
    hotfix = {"Id": "Channels-2", "Name": "Hotfix", "ProjectId": "Projects-1", "LifecycleId": None}

    made = make(shop(more={"other": other, "default": default, "hotfix": hotfix}))

    assert made.project["lifecycle"] == "Manual"
    assert {each["name"]: each["lifecycle"] for each in made.project["channels"]} == {
        "Default": "Manual",
        "Hotfix": "Auto",
    }


def test_guided_failure_is_read_where_old_and_new_exports_have_it(make: Make) -> None:
    settings = {"Id": "deploymentsettings-Projects-1", "DefaultGuidedFailureMode": "Off"}
    new = {"DeploymentSettingsId": "deploymentsettings-Projects-1"}

    assert make(shop(project=new, more={"settings": settings})).project["guided_failure"] is False


@pytest.mark.parametrize(
    ("said", "expected"), [("SkipUnavailableMachines", "skip"), ("None", None), ("", None)]
)
def test_machines_that_are_to_be_skipped_are_read_where_old_and_new_exports_have_it(
    make: Make, said: str, expected: str | None
) -> None:
    policy = {"SkipMachineBehavior": said, "TargetRoles": [], "AllowDeploymentsToNoTargets": True}
    id_ = "deploymentsettings-Projects-1"
    old = make(shop(project={"ProjectConnectivityPolicy": policy})).project
    settings = {"Id": id_, "ConnectivityPolicy": policy}
    new = make(shop(project={"DeploymentSettingsId": id_}, more={"settings": settings})).project

    assert old.get("unavailable_machines") == new.get("unavailable_machines") == expected


def test_sets_are_included_in_their_order_and_script_modules_are_told(make: Make) -> None:
    more: dict[str, Any] = {}
    for number, content in ((2, "ScriptModule"), (3, "Variables")):
        id_ = f"LibraryVariableSets-{number}"
        more[id_] = {
            "Id": id_,
            "Name": f"Set {number}",
            "ContentType": content,
            "VariableSetId": f"variableset-{id_}",
        }
        more[f"v{number}"] = {"Id": f"variableset-{id_}", "OwnerId": id_, "Variables": []}
    ids = [f"LibraryVariableSets-{number}" for number in (3, 2, 1)]

    made = make(shop(project={"IncludedLibraryVariableSetIds": ids}, more=more))

    assert made.project["include"] == ["Set 3", "Shared"]
    assert made.told("script module Set 2") == ["it includes Set 2; left out"]


def test_a_freeze_that_comes_once_is_carried_over(make: Make) -> None:
    freeze = {
        "Id": "DeploymentFreezes-1",
        "Name": "Year's end",
        "Start": "2026-12-20T01:00:00.000+01:00",
        "End": "2027-01-03T00:00:00Z",
        "ProjectEnvironmentScope": {"Projects-1": ["Environments-2"]},
    }

    made = make(shop(more={"freeze": freeze}))

    (found,) = made.catalog["freezes"]
    assert {key: str(value) for key, value in found.items()} == {
        "name": "Year's end",
        "environments": "['Production']",
        "projects": "['Shop']",
        "from": "2026-12-20T00:00:00",
        "to": "2027-01-03T00:00:00",
    }


def test_a_freeze_that_comes_again_is_told(make: Make) -> None:
    freeze = {
        "Id": "DeploymentFreezes-1",
        "Name": "Weekends",
        "Start": "2026-12-18T18:00:00Z",
        "End": "2026-12-21T06:00:00Z",
        "ProjectEnvironmentScope": {"Projects-1": ["Environments-2"]},
        "RecurringSchedule": {"Type": "Weekly", "Unit": 1},
    }

    made = make(shop(more={"freeze": freeze}))

    told = "a freeze that comes again, or without an end; left out: nothing is held then"
    assert made.told("freeze Weekends") == [told]
    assert f"# freeze Weekends: {told}\nfreezes: []\n" in made.text


def test_two_things_of_one_name_both_stay(make: Make) -> None:
    """Two spaces of one server may have an environment of the same name each."""
    twin = {"Id": "Environments-3", "Name": "qa", "SortOrder": 2}
    stays = step("A", action("A", bash("echo"), Environments=["Environments-3"]))

    made = make(shop(more={"twin": twin}, **process(stays)))

    assert [each["name"] for each in made.catalog["environments"]] == ["QA", "Production", "qa (2)"]
    assert made.steps[0]["environments"] == ["qa (2)"]
