"""What was exported from Octopus is deployed by real workers."""

from __future__ import annotations

from tests.importing.octopus import (
    action,
    as_folder,
    bash,
    inline,
    process,
    shop,
    step,
    variables,
)
from tests.support.engine import LiveEngine

HAND_ON = 'set_octopusvariable "Seen" "port #{Port}"\necho drained\r\n'
TAKE_UP = 'echo "#{Octopus.Action[Stop/Drain].Output.Seen}, $(get_octopusvariable Colour)"'


def test_an_imported_project_runs_up_to_what_could_not_be_carried_over(engine: LiveEngine) -> None:
    steps = process(
        step("Stop/Drain", action("Stop/Drain", bash(HAND_ON))),
        step(
            "Roll",
            action("Take up", bash(TAKE_UP)),
            action("In Python", inline("print(get_octopusvariable('Colour'))", "Python")),
        ),
        step("On the server", action("On the server", bash("echo once")), roles=""),
        step("Site", action("Site", {}, "Octopus.IIS")),
        step("Never", action("Never", bash("echo never"))),
    )
    twin = {
        "Id": "Machines-2",
        "Name": "web-2",
        "EnvironmentIds": ["Environments-1"],
        "Roles": ["web"],
    }
    port = {"Variables": [{"Name": "Port", "Value": "80"}]}
    export = as_folder(
        shop(**steps, variables=port, more={"twin": twin}), engine.scratch / "export"
    )
    catalog = engine.scratch / "catalog.yaml"

    assert engine.cli("import", "octopus", str(export), "--output", str(catalog)).code == 0
    assert engine.cli("apply", str(catalog)).code == 0
    engine.worker()
    (deployment,) = engine.create("Shop")

    assert engine.await_end(deployment.id) == "failed"
    shown = engine.cli("deployment", "show", f"dep-{deployment.id}", "--json").document
    ended = [(run["step"], run["state"]) for run in shown["step_runs"]]
    assert ended.count(("Stop-Drain", "succeeded")) == 2
    assert ended.count(("In Python", "succeeded")) == 2
    assert ended.count(("On the server", "succeeded")) == 1
    assert ended.count(("Site", "failed")) == 2
    said = engine.cli("deployment", "log", f"dep-{deployment.id}").out
    assert said.count("port 80, blue") == 2
    assert said.count("not carried over from Octopus: Site: a step of the kind Octopus.IIS") == 2
    assert "never" not in said


def test_a_sensitive_value_of_an_export_is_asked_for_at_each_deployment(
    engine: LiveEngine,
) -> None:
    by_hand = {"Phases": [{"Name": "QA", "OptionalDeploymentTargets": ["Environments-1"]}]}
    secret = {"Id": "s", "Name": "Password", "Type": "Sensitive", "Value": None}
    export = as_folder(
        shop(
            lifecycle=by_hand,
            **variables(secret),
            **process(step("Install", action("Install", bash("true")))),
        ),
        engine.scratch / "export",
    )
    catalog = engine.scratch / "catalog.yaml"
    assert engine.cli("import", "octopus", str(export), "--output", str(catalog)).code == 0
    assert engine.cli("apply", str(catalog)).code == 0
    assert engine.cli("release", "create", "Shop", "1.0").code == 0

    refused = engine.cli("release", "deploy", "Shop", "1.0", "QA")
    assert (refused.code, "Shop asks for Password" in refused.err) == (2, True)

    answers = engine.write("answers.yaml", "Password: hush-hush\n")
    given = engine.cli("release", "deploy", "Shop", "1.0", "QA", "--variable-file", str(answers))
    assert given.code == 0, given.err
