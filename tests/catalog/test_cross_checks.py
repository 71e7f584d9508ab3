"""What no schema can see: names that refer to nothing, stand twice, or make no sense together."""

from __future__ import annotations

import pytest

from deployengine.domain.project import Step
from tests.catalog.conftest import Faults, Read, small

VARIABLES = "    variables: []\n    process"


def with_variables(*variables: str) -> str:
    """The small catalog with these variables of its project, the first of them on line 23."""
    listed = "".join(f"      - {variable}\n" for variable in variables)
    return small(VARIABLES, f"    variables:\n{listed}    process")


def scoped(scope: str) -> str:
    return with_variables(f"{{name: Port, value: 1, scope: {{{scope}}}}}")


SCOPE = "projects[0].variables[0].scope"


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        (small("[QA]\n    roles", "[Q]\n    roles"), 4, "machines[0].environments[0]",
         "there is no environment 'Q'; did you mean 'QA'?"),
        (small("automatic: [QA]", "manual: [QA, Prodction]"), 12,
         "lifecycles[0].phases[0].manual[1]",
         "there is no environment 'Prodction'; did you mean 'Production'?"),
        (small("    lifecycle: auto", "    lifecycle: outo"), 19, "projects[0].lifecycle",
         "there is no lifecycle 'outo'; did you mean 'auto'?"),
        (small("hotfix, lifecycle: auto", "hotfix, lifecycle: autos"), 20,
         "projects[0].channels[0].lifecycle",
         "there is no lifecycle 'autos'; did you mean 'auto'?"),
        (small("[Shared]", "[shared]"), 21, "projects[0].include[0]",
         "there is no variable set 'shared'; did you mean 'Shared'?"),
        (small("[Shared]", "[Shared, Shared]"), 21, "projects[0].include[1]",
         "'Shared' is named twice"),
        (scoped("roles: [web, db, web]"), 23, f"{SCOPE}.roles[2]", "'web' is named twice"),
        (small("[web]\n        s", "[wep]\n        s"), 25, "projects[0].process[0].roles[0]",
         "there is no machine with the role 'wep'; did you mean 'web'?"),
        (scoped("environments: [QA, Staging]"), 23, f"{SCOPE}.environments[1]",
         "there is no environment 'Staging'"),
        (scoped("machines: [prod-04]"), 23, f"{SCOPE}.machines[0]",
         "there is no machine 'prod-04'; did you mean 'prod-03'?"),
        (scoped('machines: ["prod-[01:09]"]'), 23, f"{SCOPE}.machines[0]",
         "there is no machine 'prod-04'; did you mean 'prod-03'?"),
        (scoped("roles: [dbs]"), 23, f"{SCOPE}.roles[0]",
         "there is no role 'dbs'; did you mean 'db'?"),
        (scoped("channels: [hotfixes]"), 23, f"{SCOPE}.channels[0]",
         "there is no channel 'hotfixes'; did you mean 'hotfix'?"),
        (scoped("steps: [install]"), 23, f"{SCOPE}.steps[0]",
         "there is no step 'install'; did you mean 'Install'?"),
        (scoped("phases: [Life]"), 23, f"{SCOPE}.phases[0]",
         "there is no phase 'Life'; did you mean 'Live'?"),
        (scoped("tenants: [acme]"), 23, f"{SCOPE}.tenants",
         "'tenants' is reserved and has no effect yet; scope the value by something else"),
        (scoped("tenant: [acme]"), 23, f"{SCOPE}.tenant",
         "unknown key 'tenant'; there are environments, machines, roles, channels, steps, phases"),
        (small("    variables: []\nproj",
               "    variables: [{name: A, value: 1, scope: {steps: [Instal]}}]\nproj"), 16,
         "variable_sets[0].variables[0].scope.steps[0]",
         "there is no step 'Instal'; did you mean 'Install'?"),
        (small("[QA, Production]", "[QA, Production, QA]"), 1, "environments[2]",
         "environment 'QA' stands already in catalog.yaml:1"),
        (small("prod-[01:03]", "QA-[1:2]"), 6, "machines[1].name",
         "machine 'QA-1' stands already in catalog.yaml:3"),
        (small("app-[1:2]", '"a[1:11][1:12]"'), 18, "projects[0].name",
         "project 'a111' stands already in catalog.yaml:18"),
        (small("name: Live", 'name: " Test "'), 13, "lifecycles[0].phases[1].name",
         "phase 'Test' stands already in catalog.yaml:12"),
        (small("automatic: [Production]", "automatic: [Production], manual: [QA]"), 13,
         "lifecycles[0].phases[1].manual[0]", "environment 'QA' stands already in catalog.yaml:12"),
        (small("lifecycle: auto}]", "lifecycle: auto}, {name: hotfix, lifecycle: auto}]"), 20,
         "projects[0].channels[1].name", "channel 'hotfix' stands already in catalog.yaml:20"),
        (small("echo hello\n", "echo hello\n      - {name: INSTALL, script: ls}\n"), 27,
         "projects[0].process[1].name", "step 'INSTALL' stands already in catalog.yaml:24"),
        (small("echo hello\n", "echo hello\n        touches: [iis, IIS]\n"), 27,
         "projects[0].process[0].touches[1]", "resource 'IIS' stands already in catalog.yaml:27"),
        (with_variables("{name: Port, value: 1, scope: {roles: [web, db]}}",
                        "{name: ' port', value: 2, scope: {roles: [db, web]}}"), 24,
         "projects[0].variables[1]",
         "variable 'port' with the same scope (role db or web) stands already in catalog.yaml:23"),
        (small("automatic: [QA]}", "automatic: [QA, Production]}", "automatic: [Production]}",
               "optional: true}"), 13, "lifecycles[0].phases[1]",
         "no environment is left for phase 'Live': earlier phases name all"),
        (small("automatic: [QA]", "automatic: [QA], minimum: 2"), 12,
         "lifecycles[0].phases[0].minimum", "2 is more than the environments of the phase (1)"),
        (small("    roles: [web, db]",
               "    roles: [web, db]\n    connection: {workdir: '/srv/#{machin}'}"), 9,
         "machines[1].connection.workdir",
         "there is no placeholder 'machin'; did you mean 'machine'?"),
        (small("    roles: [web, db]", "    roles: [web, db]\n    connection: {workdir: /srv/a}"),
         9,
         "machines[1].connection.workdir",
         "machine 'prod-02' has the workdir of 'prod-01' (catalog.yaml:6); "
         "write #{machine} into it"),
        (with_variables('{name: A, value: "#{B}"}', '{name: B, value: "x#{ a }"}'), 23,
         "projects[0].variables[0].value",
         "variables refer to each other in a circle: A → B → A; "
         "give one of them a value that does not lead back to it"),
        (with_variables('{name: A, value: "#{B"}'), 23, "projects[0].variables[0].value",
         "#{B is not closed by a brace on its line, or holds another one; "
         "write ##{ where the text shall hold #{ itself"),
        (small("echo hello", "|\n          echo\n"
                             "          echo '#{Octopus.Step.Name}' $((#{Octopus.Step.Name}))"), 26,
         "projects[0].process[0].script",
         "line 2 of the script: the value of Octopus.Step.Name cannot be quoted here: a shell "
         "evaluates what stands in (( )); use \"$(get_variable 'Octopus.Step.Name')\" or the "
         "environment where the script can, or #{Octopus.Step.Name | raw} to insert it as code"),
        (small("echo hello", 'echo "#{if A}"'), 26, "projects[0].process[0].script",
         "line 1: #{if A} has no end; write #{/if} where it ends"),
        (with_variables("{name: octopus.machine.name, value: x}"), 23,
         "projects[0].variables[0].name",
         "the engine itself sets octopus.machine.name; choose another name"),
        (with_variables("{name: OctopusBypassDeploymentMutex, value: Ture}"), 23,
         "projects[0].variables[0].value",
         "'Ture' is neither True nor False, as OctopusBypassDeploymentMutex must be"),
        (small("echo hello\n", "echo hello\n        on_unknown: rerun\n"), 27,
         "projects[0].process[0].on_unknown",
         "on_unknown: rerun runs the script again although nobody knows how far it came; "
         "say idempotent: true if it bears that, or choose fail or ask"),
    ],
)  # fmt: skip
def test_it_is_told_with_its_place_and_nothing_else_is(
    faults: Faults, text: str, line: int, path: str, message: str
) -> None:
    found = [(f.line, f.path, _without_folder(f.message)) for f in faults(text)]
    assert found == [(line, path, message)]


def _without_folder(message: str) -> str:
    """Other places are told by their whole path, which differs from test to test."""
    return " ".join(
        word[0] * word.startswith("(") + word.rpartition("/")[2] if "catalog.yaml" in word else word
        for word in message.split(" ")
    )


def test_all_faults_of_a_catalog_are_told_at_once_in_the_order_of_its_lines(
    faults: Faults,
) -> None:
    text = small(
        "roles: [web]\n  - name: prod", "rolls: [web]\n  - name: prod",
        "[Production]\n    roles", "[Prod]\n    roles",
        "{name: Test, automatic: [QA]}", "{name: Test, automatic: [QA], minimum: -1}",
        "    lifecycle: auto", "    lifecycle: atuo",
        "[Shared]", "[Sharde]",
        VARIABLES, "    variables: [{name: OctopusBypassDeploymentMutex, value: si}]\n    process",
        "[web]\n        script: echo hello", "[wbe]\n        scrpt: echo hello",
    )  # fmt: skip
    assert [(f.line, f.path) for f in faults(text)] == [
        (5, "machines[0].rolls"),
        (7, "machines[1].environments[0]"),
        (12, "lifecycles[0].phases[0].minimum"),
        (19, "projects[0].lifecycle"),
        (21, "projects[0].include[0]"),
        (22, "projects[0].variables[0].value"),
        (25, "projects[0].process[0].roles[0]"),
        (26, "projects[0].process[0].scrpt"),
    ]


def test_a_flag_that_refers_to_another_variable_can_only_be_judged_later(read: Read) -> None:
    read(
        with_variables(
            '{name: OctopusBypassDeploymentMutex, value: "#{Fast}"}', "{name: Fast, value: 1}"
        )
    )


def test_what_happens_after_an_unknown_end_is_stored_with_the_step(read: Read) -> None:
    more = "idempotent: true\n        on_unknown: rerun\n        on_stale: terminate\n"
    for text, policies in (
        (small("echo hello\n", f"echo hello\n        {more}"), ("rerun", "terminate")),
        (small("echo hello\n", "echo hello\n        on_unknown: ask\n"), ("ask", "wait")),
        (small(), ("fail", "wait")),
    ):
        (document,) = read(text).items[-1].document["process"]
        step = Step.from_document(document)
        assert (step.on_unknown, step.on_stale) == policies


def test_the_same_name_with_another_scope_is_another_value(read: Read) -> None:
    read(
        with_variables(
            "{name: Port, value: 1}",
            "{name: Port, value: 2, scope: {environments: [QA]}}",
            "{name: Port, value: 3, scope: {environments: [QA], roles: [web]}}",
        )
    )


def test_a_phase_without_environments_may_have_those_that_are_left(read: Read) -> None:
    catalog = read(small("automatic: [Production]}", "minimum: 1}"))
    assert catalog.of("lifecycle")[0].document["phases"][1] == {"name": "Live", "minimum": 1}


def test_a_circle_through_an_included_set_is_told_at_the_project(faults: Faults) -> None:
    text = small(
        "    variables: []\nproj",
        '    variables: [{name: Host, value: "#{Port}"}]\nproj',
        VARIABLES,
        '    variables: [{name: Port, value: "#{Host}"}]\n    process',
    )
    assert [(f.line, f.path) for f in faults(text)] == [(22, "projects[0].variables[0].value")]


def test_a_circle_inside_a_set_is_told_once_and_there(faults: Faults) -> None:
    text = small("    variables: []\nproj", '    variables: [{name: A, value: "#{A}"}]\nproj')
    assert [(f.line, f.path) for f in faults(text)] == [(16, "variable_sets[0].variables[0].value")]


def test_brackets_are_a_range_in_the_names_of_machines_and_projects_only(read: Read) -> None:
    text = with_variables("{name: P, value: 1, scope: {steps: ['Install [a:b]']}}")
    catalog = read(
        text.replace("name: Install", "name: Install [a:b]")
        .replace("- name: Shared", "- name: Set[1")
        .replace("[Shared]", "['Set[1']")
    )
    assert catalog.of("variable_set")[0].name == "Set[1"
    assert len(catalog.of("project")) == 2


def test_a_name_that_stands_twice_hides_no_fault_of_the_others(faults: Faults) -> None:
    told = [(f.path, f.message) for f in faults(small("[Shared]", "[Shraed, Shared, Shared]"))]
    assert told == [
        ("projects[0].include[2]", "'Shared' is named twice"),
        ("projects[0].include[0]", "there is no variable set 'Shraed'; did you mean 'Shared'?"),
    ]
