"""What is stored of each item: all that was said, and nothing that is as it is anyway."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import yaml

from deployengine.catalog import Catalog, difference, fields
from deployengine.catalog.items import MODELS, Kind
from tests.catalog.conftest import FULL, SMALL, Faults, Read, small, unsaid

VARIABLES = "    variables: []\n    process"


def project(more: str) -> str:
    """The small catalog with these keys of its project, the first on line 19."""
    return small("    lifecycle: auto\n", "".join(f"    {line}\n" for line in more.splitlines()))


def variables(*items: str) -> str:
    """The small catalog with these variables of its project, the first on line 23."""
    listed = "".join(f"      - {{{item}}}\n" for item in items)
    return small(VARIABLES, f"    variables:\n{listed}    process")


def first(catalog: Catalog, kind: Kind) -> dict[str, Any]:
    return catalog.of(kind)[0].document


@pytest.mark.parametrize(
    ("text", "kind", "stored"),
    [
        (SMALL, "environment", {"name": "QA"}),
        (small("[QA, Production]",
               "[{name: QA, description: 1st, guided_failure: true, share: 10}, Production]"),
         "environment",
         {"name": "QA", "description": "1st", "guided_failure": True, "share": 10}),
        (SMALL, "machine",
         {"name": "qa-1", "environments": ["QA"], "roles": ["web"],
          "connection": {"kind": "local", "workdir": "machines/qa-1"}}),
        (small("[QA]\n    roles: [web]", "[QA]\n    max_concurrent: 2"), "machine",
         {"name": "qa-1", "environments": ["QA"], "max_concurrent": 2,
          "connection": {"kind": "local", "workdir": "machines/qa-1"}}),
        (small("  - name: auto\n", "  - name: auto\n    default: true\n",
               "automatic: [QA]", "automatic: [QA], priority: -5, keep_releases: 3"),
         "lifecycle",
         {"name": "auto", "default": True,
          "phases": [{"name": "Test", "automatic": ["QA"], "priority": -5, "keep_releases": 3},
                     {"name": "Live", "automatic": ["Production"]}]}),
        (SMALL, "variable_set", {"name": "Shared", "variables": []}),
        (small("    variables: []\nproj", "    variables: [{name: A, value: 1}]\nproj"),
         "variable_set", {"name": "Shared", "variables": [{"name": "A", "value": "1"}]}),
        (project("lifecycle: auto\nmutex: deployment\nsupersede: true\nguided_failure: false\n"
                 "share: 5\npriority: 5"),
         "project",
         {"name": "app-1", "lifecycle": "auto", "mutex": "deployment", "supersede": True,
          "guided_failure": False, "share": 5, "priority": 5, "include": ["Shared"],
          "channels": [{"name": "hotfix", "lifecycle": "auto"}],
          "process": [{"name": "Install", "roles": ["web"], "script": "echo hello"}]}),
    ],
)  # fmt: skip
def test_an_item_is_stored_with_what_is_not_as_it_is_anyway(
    read: Read, text: str, kind: Kind, stored: dict[str, Any]
) -> None:
    assert first(read(text), kind) == stored


@pytest.mark.parametrize(
    ("variable", "stored"),
    [
        ("name: A, value: 1, sensitive: false, scope: {}", {"name": "A", "value": "1"}),
        ("name: A, prompt: {}", {"name": "A", "value": "", "prompt": {}}),
        ("name: A, value: x, prompt: {label: 'Which?', description: One, required: true}",
         {"name": "A", "value": "x",
          "prompt": {"label": "Which?", "description": "One", "required": True}}),
        ("name: OctopusBypassDeploymentMutex, prompt: {required: false}, sensitive: true, "
         "scope: {machines: ['prod-[01:02]']}",
         {"name": "OctopusBypassDeploymentMutex", "value": "", "prompt": {}, "sensitive": True,
          "scope": {"machines": ["prod-01", "prod-02"]}}),
    ],
)  # fmt: skip
def test_a_variable_is_stored_with_its_value_and_its_prompt(
    read: Read, variable: str, stored: dict[str, Any]
) -> None:
    assert first(read(variables(variable)), "project")["variables"] == [stored]


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        (small("[QA, Production]", "[{name: QA, share: 0}, Production]"), 1,
         "environments[0].share", "must be at least 1"),
        (small("[QA, Production]", "[{name: QA, guided_failure: maybe}, Production]"), 1,
         "environments[0].guided_failure", "must be true or false"),
        (small("[QA, Production]", "[{name: QA, guided: true}, Production]"), 1,
         "environments[0].guided",
         "unknown key 'guided'; did you mean 'guided_failure'?"),
        (small("automatic: [QA]", "automatic: [QA], priority: 6"), 12,
         "lifecycles[0].phases[0].priority", "must be at most 5"),
        (small("automatic: [QA]", "automatic: [QA], priority: high"), 12,
         "lifecycles[0].phases[0].priority", "must be a whole number"),
        (small("automatic: [QA]", "automatic: [QA], keep_releases: 0"), 12,
         "lifecycles[0].phases[0].keep_releases", "must be at least 1"),
        (small("  - name: auto\n", "  - name: auto\n    default: yes please\n"), 11,
         "lifecycles[0].default", "must be true or false"),
        (project("lifecycle: auto\nmutex: deployments"), 20, "projects[0].mutex",
         "must be 'step' or 'deployment'; did you mean 'deployment'?"),
        (project("lifecycle: auto\nsupersede: maybe"), 20, "projects[0].supersede",
         "must be true or false"),
        (project("lifecycle: auto\nguided_failure: 2"), 20, "projects[0].guided_failure",
         "must be true or false"),
        (project("lifecycle: auto\nshare: 0"), 20, "projects[0].share", "must be at least 1"),
        (project("lifecycle: auto\npriority: -6"), 20, "projects[0].priority",
         "must be at least -5"),
        (project("supersede: true"), 18, "projects[0]",
         "'lifecycle' is missing, and no lifecycle says default: true"),
        (project("lifecycle: [auto]"), 19, "projects[0].lifecycle", "must be a text"),
        (variables("name: A"), 23, "projects[0].variables[0]", "'value' is missing"),
        (variables("name: A, vlaue: 1"), 23, "projects[0].variables[0].vlaue",
         "unknown key 'vlaue'; did you mean 'value'?"),
        (variables("name: OctopusBypassDeploymentMutex, value: [x]"), 23,
         "projects[0].variables[0].value", "must be a text"),
        (variables("name: A, value: , prompt: {}"), 23, "projects[0].variables[0].value",
         'there is no value; write "" for an empty one'),
        (variables("name: A, prompt: Which"), 23, "projects[0].variables[0].prompt",
         "must be a mapping, with a key and a value on each line"),
        (variables("name: A, prompt: {required: maybe}"), 23,
         "projects[0].variables[0].prompt.required", "must be true or false"),
        (variables("name: A, prompt: {lable: x}"), 23, "projects[0].variables[0].prompt.lable",
         "unknown key 'lable'; did you mean 'label'?"),
        (variables("name: OctopusBypassDeploymentMutex, value: Ture, prompt: {}"), 23,
         "projects[0].variables[0].value",
         "'Ture' is neither True nor False, as OctopusBypassDeploymentMutex must be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place_and_nothing_else_is(
    faults: Faults, text: str, line: int, path: str, message: str
) -> None:
    assert [(f.line, f.path, f.message) for f in faults(text)] == [(line, path, message)]


DEFAULT = "  - name: fallback\n    default: true\n    phases: [{name: Only, manual: [QA]}]\n"
WITH_DEFAULT = ("variable_sets:\n", f"{DEFAULT}variable_sets:\n")


def test_a_project_that_names_no_lifecycle_has_the_default_one(read: Read) -> None:
    text = small(*WITH_DEFAULT, "    lifecycle: auto\n", "")
    assert first(read(text), "project")["lifecycle"] == "fallback"
    assert first(read(small(*WITH_DEFAULT)), "project")["lifecycle"] == "auto"


def test_a_value_may_be_scoped_to_a_phase_of_the_default_lifecycle(
    read: Read, faults: Faults
) -> None:
    def scoped(phase: str, lifecycle: str) -> str:
        variable = f"{{name: A, value: 1, scope: {{phases: [{phase}]}}}}"
        text = small(VARIABLES, f"    variables: [{variable}]\n    process", *WITH_DEFAULT)
        other = "  - {name: other, phases: [{name: Else, manual: [QA]}]}\nvariable_sets:\n"
        return text.replace("variable_sets:\n", other).replace("    lifecycle: auto\n", lifecycle)

    read(scoped("Only", ""))
    for wrong in (scoped("Else", ""), scoped("Only", "    lifecycle: auto\n")):
        assert [f.path for f in faults(wrong)] == ["projects[0].variables[0].scope.phases[0]"]


def test_another_default_lifecycle_is_a_change_of_the_projects_that_name_none(read: Read) -> None:
    before = small(*WITH_DEFAULT, "    lifecycle: auto\n", "")
    after = before.replace("    default: true\n", "").replace(
        "- name: auto\n", "- name: auto\n    default: true\n"
    )
    assert list(difference(stored(read(before)), read(after)).lines()) == [
        "~ lifecycle auto",
        "    default: false → true",
        "~ lifecycle fallback",
        "    default: true → false",
        "~ project app-1",
        "~ project app-2",
        '    lifecycle: "fallback" → "auto"',
    ]


def test_at_most_one_lifecycle_is_the_default(faults: Faults) -> None:
    text = small(*WITH_DEFAULT, "- name: auto\n", "- name: auto\n    default: true\n")
    (fault,) = faults(text)
    assert (fault.line, fault.path) == (16, "lifecycles[1].default")
    assert fault.message.startswith("there is a default lifecycle already (")
    assert fault.message.endswith("catalog.yaml:11)")


def test_the_full_catalog_says_all_that_the_schema_knows(read: Read) -> None:
    assert unsaid(FULL) == {}
    assert len(read(yaml.safe_dump(FULL)).items) == 13


def with_defaults(document: dict[str, Any], model: fields.Model) -> dict[str, Any]:
    """A stored document as it was when every key was written out."""
    whole = {key: fields.default(info) for key, info in fields.stored(model).items()}
    for key, value in document.items():
        held = fields.inner(fields.stored(model)[key])
        if held and isinstance(value, list):
            value = [with_defaults(part, held) for part in value]
        elif held:
            value = with_defaults(value, held)
        whole[key] = value
    return whole


@pytest.mark.parametrize("text", [SMALL, yaml.safe_dump(FULL)])
def test_documents_that_say_what_is_as_it_is_anyway_are_no_difference(
    read: Read, text: str
) -> None:
    catalog = read(text).sealed(lambda secret: {"cipher": "?", "mac": secret})
    old = {(i.kind, i.name): with_defaults(i.document, MODELS[i.kind]) for i in catalog.items}
    assert old != stored(catalog)
    assert difference(old, catalog).is_empty
    turned = Catalog(tuple(replace(i, document=old[i.kind, i.name]) for i in catalog.items))
    assert difference(stored(catalog), turned).is_empty


def test_a_key_that_comes_or_goes_is_told_beside_what_holds_without_it(read: Read) -> None:
    bare = yaml.safe_load(SMALL)
    full = yaml.safe_load(SMALL)
    full["environments"][0] = {"name": "QA", "guided_failure": True, "share": 3}
    full["lifecycles"][0]["phases"][0] |= {"priority": 1, "minimum": 1}
    full["projects"][0] |= {"mutex": "deployment", "supersede": True, "priority": 2}
    full["projects"][0]["process"][0] |= {"condition": "always", "retries": 1, "backoff": 5}
    there, back = (
        [line.strip() for line in difference(stored(read(one)), read(other)).lines()]
        for one, other in permutations([yaml.safe_dump(bare), yaml.safe_dump(full)])
    )
    told = [
        "guided_failure: false → true",
        "share: nothing → 3",
        "phases[Test].minimum: 0 → 1",
        "phases[Test].priority: 0 → 1",
        'mutex: "step" → "deployment"',
        "supersede: false → true",
        "priority: 0 → 2",
        "process[Install].retries: 0 → 1",
        "process[Install].backoff_seconds: nothing → 5.0",
        'process[Install].condition: "success" → "always"',
    ]
    assert {line for line in there if "→" in line} == set(told)
    assert {line for line in back if "→" in line} == {
        f"{place}: {after} → {before}"
        for place, before, after in (re.split(": | → ", line) for line in told)
    }


def stored(catalog: Catalog) -> dict[tuple[str, str], Any]:
    """As it comes back from a database."""
    return {(i.kind, i.name): json.loads(json.dumps(i.document)) for i in catalog.items}
