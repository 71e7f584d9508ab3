"""Variables: their values, scopes and prompts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.importing.conftest import Make
from tests.importing.octopus import action, bash, process, shop, step, variables


def variable(**more: Any) -> dict[str, Any]:
    return {"Id": "v", "Name": "Port", "Value": "80", **more}


def test_ids_in_a_scope_become_names(make: Make) -> None:
    scope = {
        "Environment": ["Environments-1", "Environments-2"],
        "Machine": ["Machines-1"],
        "Role": ["web"],
        "Channel": ["Channels-1"],
        "Action": ["action-Install"],
    }
    channel = {"Id": "Channels-1", "Name": "Hotfix", "ProjectId": "Projects-1"}

    made = make(shop(**variables(variable(Scope=scope)), more={"channel": channel}))

    assert made.variables == [
        {
            "name": "Port",
            "value": "80",
            "scope": {
                "environments": ["QA", "Production"],
                "machines": ["web-1"],
                "roles": ["web"],
                "channels": ["Hotfix"],
                "steps": ["Install"],
            },
        }
    ]


def test_the_id_of_a_group_means_its_children(make: Make) -> None:
    group = step("Roll", action("Out", bash("echo")), action("In", bash("echo")))
    made = make(
        shop(process={"Steps": [group]}, **variables(variable(Scope={"Action": ["step-Roll"]})))
    )

    assert made.variables[0]["scope"] == {"steps": ["Out", "In"]}


@pytest.mark.parametrize(
    ("scope", "why"),
    [
        ({"Action": ["action-gone"]}, "it is for steps only that are not carried over"),
        ({"Machine": ["Machines-9"]}, "it is for machines only that are not carried over"),
        ({"TenantTag": ["Region/North"]}, "it is for tenants only"),
        ({"ProcessOwner": ["Runbooks-1"]}, "it is for runbooks only"),
        ({"Trigger": ["Triggers-1"]}, "it is limited by trigger, which does not exist here"),
    ],
)
def test_a_value_that_no_deployment_here_would_meet_is_left_out_rather_than_widened(
    make: Make, scope: dict[str, list[str]], why: str
) -> None:
    made = make(shop(**variables(variable(Scope=scope))))

    assert made.variables == []
    assert made.told("variable Port") == [f"{why}; left out"]
    assert f"# variable Port: {why}; left out" in made.text


def test_a_value_for_deployments_and_runbooks_is_for_deployments(make: Make) -> None:
    scope = {"ProcessOwner": ["Runbooks-1", "Projects-1"]}

    assert make(shop(**variables(variable(Scope=scope)))).variables == [
        {"name": "Port", "value": "80"}
    ]


def test_a_prompted_variable_keeps_its_label_and_its_default(make: Make) -> None:
    prompt = {"Label": "Why?", "Description": "One line", "Required": True, "DisplaySettings": {}}

    made = make(
        shop(**variables(variable(Prompt=prompt), variable(Name="B", Value=None, Prompt=prompt)))
    )

    asked = {"label": "Why?", "description": "One line", "required": True}
    assert made.variables == [
        {"name": "Port", "value": "80", "prompt": asked},
        {"name": "B", "prompt": asked},
    ]


def test_a_secret_that_was_asked_for_must_be_answered_since_its_value_is_not_there(
    make: Make,
) -> None:
    secret = variable(Type="Sensitive", Prompt={"Label": "Word?", "Required": False})

    made = make(shop(**variables(secret)))

    assert made.variables == [
        {"name": "Port", "sensitive": True, "prompt": {"label": "Word?", "required": True}}
    ]


@pytest.mark.parametrize(
    "type_", ["AzureAccount", "AmazonWebServicesAccount", "Certificate", "WorkerPool"]
)
def test_a_value_that_is_an_account_is_left_out(make: Make, type_: str) -> None:
    made = make(shop(**variables(variable(Type=type_, Value="Accounts-1"))))

    assert made.variables == []
    assert type_ in made.told("variable Port")[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("True", "True"), ("#{Colour}", "#{Colour}"), ("sure", "False"), ("", "")],
)
def test_the_bypass_says_what_it_said_in_octopus(make: Make, value: str, expected: str) -> None:
    made = make(shop(**variables(variable(Name="OctopusBypassDeploymentMutex", Value=value))))

    assert made.variables == [{"name": "OctopusBypassDeploymentMutex", "value": expected}]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"Name": "Octopus.Project.Name"}, "the engine itself sets it"),
        ({"Name": "a}b"}, "the name of a variable must be visible"),
        ({"Value": "#{A | NoSuchFilter}"}, "its value is one in which #{A | NoSuchFilter}"),
    ],
)
def test_a_variable_that_the_engine_cannot_have_is_left_out(
    make: Make, more: dict[str, str], why: str
) -> None:
    made = make(shop(**variables(variable(**more))))

    assert made.variables == []
    assert any(loss.what.startswith(why) for loss in made.losses)


def test_of_two_values_with_one_scope_the_first_is_kept(make: Make) -> None:
    made = make(shop(**variables(variable(), variable(Name="port ", Value="81"))))

    assert made.variables == [{"name": "Port", "value": "80"}]
    assert any("another value of it has the same scope" in loss.what for loss in made.losses)


def test_a_text_keeps_its_lines_and_a_number_its_look(make: Make) -> None:
    made = make(shop(**variables(variable(Value="1.10"), variable(Name="B", Value="a\r\n\tb\n"))))

    assert [each["value"] for each in made.variables] == ["1.10", "a\r\n\tb\n"]


ASKED = {"label": "Gone", "required": True}


@pytest.mark.parametrize(
    "changes",
    [
        process(step("A", action("A", bash("echo #{Gone} #{gone | ToUpper}")))),
        process(step("A", action("A", bash("echo")), action("B", bash("echo #{Gone}")))),
        process(
            step(
                "A",
                action("A", bash("echo")),
                Condition="Variable",
                Properties={"Octopus.Step.ConditionVariableExpression": "#{Gone}"},
            )
        ),
        {
            **process(step("A", action("A", bash("echo #{Url}")))),
            **variables(variable(Name="Url", Value="x#{Gone}")),
        },
    ],
)
def test_a_variable_that_is_referred_to_and_not_there_is_asked_for(
    make: Make, changes: dict[str, Any]
) -> None:
    made = make(shop(**changes))

    assert {"name": "Gone", "prompt": ASKED} in made.variables
    (told,) = made.told("variable Gone")
    assert told.startswith("it is referred to, and there is no such variable here; it is asked for")
    assert "# it is referred to, and there is no such variable here" in made.text


def test_what_a_set_refers_to_is_asked_for_where_a_step_comes_to_it(make: Make) -> None:
    library = {"library_variables": {"Variables": [variable(Name="Url", Value="x#{Gone}")]}}
    uses = process(step("A", action("A", bash("echo #{Url}"))))

    assert {"name": "Gone", "prompt": ASKED} in make(shop(**library, **uses)).variables
    assert make(shop(**library)).told("variable Gone") == []
    own = make(shop(**library, **uses, **variables(variable(Name="Gone"))))
    assert own.told("variable Gone") == []


@pytest.mark.parametrize(
    "body",
    [
        "echo  # as #{Gone}",
        "echo ##{Gone}",
        "#{if Gone}echo #{Gone}#{/if}",
        "echo #{Octopus.Action[Install].Output.Port} #{Octopus.Deployment.Id}",
    ],
)
def test_what_may_have_a_value_is_not_asked_for(make: Make, body: str) -> None:
    made = make(shop(**process(step("Install", action("Install", bash(body)))), **variables()))

    assert "variables" not in made.project
