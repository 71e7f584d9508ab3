"""Steps: what they do, where, when and how often."""

from __future__ import annotations

from typing import Any

import pytest

from tests.importing.conftest import Make
from tests.importing.octopus import action, bash, inline, process, shop, step

SCRIPT = bash("echo hi")


def test_a_script_step_keeps_its_roles_limits_attempts_and_window(make: Make) -> None:
    settings = {
        **SCRIPT,
        "Octopus.Action.AutoRetry.MaximumCount": "3",
        "Octopus.Action.AutoRetry.MinimumBackoff": "15",
        "Octopus.Action.ExecutionTimeout.Minutes": "10",
    }
    limits = {"Environments": ["Environments-2"], "Channels": ["Channels-1"], "IsRequired": True}
    channel = {"Id": "Channels-1", "Name": "Hotfix", "ProjectId": "Projects-1"}
    window = {"Octopus.Action.MaxParallelism": "2"}

    made = make(
        shop(
            **process(
                step(
                    "Install",
                    action("Install", settings, **limits),
                    Properties=window,
                    roles="web, db",
                )
            ),
            more={"channel": channel},
        )
    )

    assert made.steps == [
        {
            "name": "Install",
            "roles": ["web", "db"],
            "environments": ["Production"],
            "channels": ["Hotfix"],
            "required": True,
            "max_parallel": 2,
            "retries": 3,
            "backoff": "15s",
            "timeout": "10m",
        }
    ]


@pytest.mark.parametrize(
    ("said", "expression", "expected"),
    [
        ("Success", "", None),
        ("Failure", "", "failure"),
        ("always", "", "always"),
        ("Variable", "#{Wanted}", "#{Wanted}"),
        ("Variable", "#{unless Octopus.Deployment.Error}#{A}#{/unless}", None),
        ("Variable", "True", "always"),
    ],
)
def test_a_run_condition_is_carried_over(
    make: Make, said: str, expression: str, expected: str | None
) -> None:
    properties = {"Octopus.Step.ConditionVariableExpression": expression} if expression else {}
    made = make(
        shop(**process(step("A", action("A", SCRIPT), Condition=said, Properties=properties)))
    )

    wanted = expression if expected is None and "#{" in expression else expected
    assert made.steps[0].get("condition") == wanted


def test_a_condition_that_is_never_true_is_told(make: Make) -> None:
    made = make(shop(**process(step("A", action("A", SCRIPT), Condition="Variable"))))

    assert '== ""' in made.steps[0]["condition"]
    assert made.told("step A") == ["its run condition is never true; it never runs"]


@pytest.mark.parametrize(
    ("condition", "expression", "why"),
    [
        ("Variable", "#{A | NoSuchFilter}", "a run condition in which #{A | NoSuchFilter}"),
        ("Sometimes", "", "the run condition Sometimes"),
    ],
)
def test_a_step_whose_condition_cannot_be_read_fails_rather_than_to_run_or_not(
    make: Make, condition: str, expression: str, why: str
) -> None:
    properties = {"Octopus.Step.ConditionVariableExpression": expression}
    made = make(
        shop(**process(step("A", action("A", SCRIPT), Condition=condition, Properties=properties)))
    )

    assert made.script("A").endswith("#   echo hi\n")
    assert "exit 1" in made.script("A")
    assert any(why in told for told in made.told("step A"))


def test_steps_that_start_together_start_together(make: Make) -> None:
    made = make(
        shop(
            **process(
                step("A", action("A", SCRIPT)),
                step("B", action("B", SCRIPT), StartTrigger="StartWithPrevious"),
            )
        )
    )

    assert [each.get("start") for each in made.steps] == [None, "with_previous"]


def test_what_started_with_a_step_that_is_left_out_does_not_start_with_an_earlier_one(
    make: Make,
) -> None:
    off = action("Off", SCRIPT, IsDisabled=True)
    made = make(
        shop(
            **process(
                step("A", action("A", SCRIPT)),
                step("Off", off),
                step("B", action("B", SCRIPT), StartTrigger="StartWithPrevious"),
                step("C", action("C", SCRIPT), StartTrigger="StartWithPrevious"),
            )
        )
    )

    assert [(each["name"], each.get("start")) for each in made.steps] == [
        ("A", None),
        ("B", None),
        ("C", "with_previous"),
    ]
    assert made.told("step Off") == ["it is disabled; left out"]
    assert made.told("step B") == [
        "it starts together with a step that is not here; it starts after the previous step"
    ]


def test_a_manual_intervention_asks_and_names_teams_rather_than_anybody(make: Make) -> None:
    settings = {
        "Octopus.Action.Manual.Instructions": "Is #{Octopus.Environment.Name} well?",
        "Octopus.Action.Manual.ResponsibleTeamIds": "Teams-1,teams-everyone",
        "Octopus.Action.Manual.BlockConcurrentDeployments": "True",
    }
    team = {"Id": "Teams-1", "Name": "Managers", "MemberUserIds": ["Users-7"]}

    made = make(
        shop(
            **process(step("Ask", action("Ask", settings, "Octopus.Manual"), roles="")),
            more={"team": team},
        )
    )

    assert made.steps == [
        {
            "name": "Ask",
            "kind": "manual",
            "required": True,
            "instructions": "Is #{Octopus.Environment.Name} well?",
            "responsible": ["Managers", "teams-everyone"],
            "keep_tag": True,
        }
    ]
    assert made.told("step Ask") == [
        "teams are responsible: Managers (Users-7), teams-everyone; "
        "nobody can answer until users are named in their place"
    ]


def test_a_rolling_group_keeps_its_window_and_what_its_children_share(make: Make) -> None:
    limits = {"Environments": ["Environments-2"]}
    made = make(
        shop(
            **process(
                step(
                    "Roll",
                    action("Out", SCRIPT, **limits),
                    action("In", SCRIPT, IsRequired=True, **limits),
                    Properties={"Octopus.Action.MaxParallelism": "1"},
                )
            )
        )
    )

    (group,) = made.steps
    assert {key: value for key, value in group.items() if key != "steps"} == {
        "name": "Roll",
        "kind": "rolling",
        "roles": ["web"],
        "environments": ["Production"],
        "required": True,
        "max_parallel": 1,
    }
    assert [child["name"] for child in group["steps"]] == ["Out", "In"]


def test_a_group_without_a_window_takes_as_many_machines_as_octopus_does(make: Make) -> None:
    made = make(shop(**process(step("Roll", action("A", SCRIPT), action("B", SCRIPT)))))

    assert made.steps[0]["max_parallel"] == 10


def test_a_child_that_only_runs_elsewhere_than_its_group_fails(make: Make) -> None:
    children = action("A", SCRIPT), action("B", SCRIPT, Environments=["Environments-2"])
    made = make(shop(**process(step("Roll", *children))))

    assert "environments" not in made.steps[0]
    assert "exit 1" in made.script("B")
    assert "exit 1" not in made.script("A")


def test_what_ran_on_the_octopus_server_runs_once_on_a_machine_of_its_own(make: Make) -> None:
    settings = {**SCRIPT, "Octopus.Action.RunOnServer": "true"}
    made = make(shop(**process(step("Migrate", action("Migrate", settings), roles=""))))

    assert made.steps == [{"name": "Migrate", "roles": ["octopus-server"]}]
    server = made.catalog["machines"][-1]
    assert server["name"] == "octopus-server"
    assert server["environments"] == ["QA", "Production"]
    assert made.project["include"] == ["Shared", "octopus-server"]
    shared = made.catalog["variable_sets"][-1]["variables"]
    assert shared == [
        {
            "name": "OctopusBypassDeploymentMutex",
            "value": "True",
            "scope": {"machines": ["octopus-server"]},
        }
    ]


def test_a_group_on_the_server_is_one_step_after_the_other(make: Make) -> None:
    first = action("A", SCRIPT)
    second = action("B", {"Octopus.Action.Manual.Instructions": "Go?"}, "Octopus.Manual")
    made = make(shop(**process(step("Both", first, second, roles="", Condition="Failure"))))

    assert [(each["name"], each.get("kind"), each["condition"]) for each in made.steps] == [
        ("A", None, "failure"),
        ("B", "manual", "failure"),
    ]
    assert made.told("step Both") == [
        "its actions followed each other on the Octopus server; each is a step of its own"
    ]


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (action("A", {}, "Octopus.IIS"), "a step of the kind Octopus.IIS"),
        (
            action("A", {}, "Octopus.DockerRun"),
            "a step of the kind Octopus.DockerRun (near to it is kind: docker-compose)",
        ),
        (action("A", {**SCRIPT, "Octopus.Action.Template.Id": "x"}), "a step from a template"),
        (action("A", inline("let a = 1", "FSharp")), "a script in FSharp"),
        (action("A", bash("")), "a script without text"),
        (action("A", {"Octopus.Action.Script.ScriptSource": "Package"}), "a script from a Package"),
        (action("A", SCRIPT, Packages=[{"PackageId": "Web"}]), "a script that uses packages (Web)"),
        (
            action("A", SCRIPT, TenantTags=["Region/North"]),
            "it runs for tenants only (Region/North)",
        ),
        (action("A", bash("echo #{each x in Y}")), "a script in which #{each x in Y}"),
    ],
)
def test_what_cannot_be_carried_over_fails_when_it_is_reached(
    make: Make, one: dict[str, Any], why: str
) -> None:
    made = make(shop(**process(step("A", one))))

    assert made.script("A").startswith("#!/bin/sh\necho 'not carried over from Octopus: A: ")
    assert "\nexit 1\n" in made.script("A")
    (told,) = made.told("step A")
    assert told.startswith(why)
    assert told.endswith("; a step that fails stands in its place")


def test_outputs_of_a_step_with_another_name_are_still_found(make: Make) -> None:
    reads = bash("echo #{Octopus.Action[Stop/Drain].Output.Done}")
    made = make(
        shop(
            **process(
                step("Stop/Drain", action("Stop/Drain", SCRIPT)), step("B", action("B", reads))
            )
        )
    )

    assert "#{Octopus.Action[Stop-Drain].Output.Done}" in made.script("B")


def test_a_process_without_steps_fails_rather_than_to_succeed(make: Make) -> None:
    made = make(shop(**process()))

    assert [each["name"] for each in made.steps] == ["Nothing to do"]
    assert "exit 1" in made.script("Nothing to do")


def test_a_process_that_is_in_git_is_told(make: Make) -> None:
    project = {"PersistenceSettings": {"Type": "VersionControlled", "Url": "https://git.example"}}
    documents = [each for each in shop(project=project) if "deploymentprocess" not in each["Id"]]

    made = make(documents)

    assert [each["name"] for each in made.steps] == ["Nothing to do"]
    assert made.told("project Shop")[0] == (
        "its process is in a Git repository, not in the export; "
        "a step that fails stands in its place"
    )
