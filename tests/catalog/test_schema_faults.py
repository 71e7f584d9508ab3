"""Each thing that the schema refuses: its line, its path, and the words for it."""

from __future__ import annotations

import pytest

from tests.catalog.conftest import SMALL, Faults, Read, small

STEP = "        script: echo hello\n"
MACHINE = "    roles: [web]\n  - name: prod"


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        (small("machines:", "machnes:"), 2, "machnes", "'machines'"),
        (small("    roles: [web]", "    rolls: [web]"), 5, "machines[0].rolls", "'roles'"),
        (small("script:", "scirpt:"), 26, "projects[0].process[0].scirpt", "'script'"),
        (small("    lifecycle: auto", "    x: 1"), 18, "projects[0]", "'lifecycle' is missing"),
        (small("  - name: qa-1\n    env", "  - env"), 3, "machines[0]", "'name' is missing"),
        (small("[QA]\n    roles", "[]\n    roles"), 4, "machines[0].environments", "not be empty"),
        (small("    environments: [QA]\n", ""), 3, "machines[0]", "'environments' is missing"),
        (small("[QA]\n    roles", "QA\n    roles"), 4, "machines[0].environments", "a list"),
        (small("app-[1:2]", "app-[2:1]"), 18, "projects[0].name", "empty"),
        (small("app-[1:2]", "../etc"), 18, "projects[0].name", "slash"),
        (small("app-[1:2]", "a\\b"), 18, "projects[0].name", "slash"),
        (small("app-[1:2]", ".git"), 18, "projects[0].name", "dot"),
        (small("app-[1:2]", '"a\\nb"'), 18, "projects[0].name", "can't be seen"),
        (small("app-[1:2]", '"a\\u202Eb"'), 18, "projects[0].name", "can't be seen"),
        (small("app-[1:2]", '"  "'), 18, "projects[0].name", "empty"),
        (small("app-[1:2]", "true"), 18, "projects[0].name", "must be a text"),
        (small("app-[1:2]", "x" * 121), 18, "projects[0].name", "at most 120"),
        (small("QA, Prod", ".QA, Prod"),
         1, "environments[0]", "dot"),
        (small(MACHINE, f"    max_concurrent: 0\n{MACHINE}"), 5, "machines[0].max_concurrent",
         "at least 1"),
        (small(MACHINE, f"    max_concurrent: 1.5\n{MACHINE}"), 5, "machines[0].max_concurrent",
         "whole number"),
        (small(MACHINE, f"    connection: {{kind: telnet}}\n{MACHINE}"), 5,
         "machines[0].connection.kind", "must be 'local'"),
        (small("{name: Test, ", "{name: Test, minimum: -1, "), 12,
         "lifecycles[0].phases[0].minimum", "at least 0"),
        (small(STEP, f"{STEP}        retries: 11\n"), 27, "projects[0].process[0].retries",
         "at most 10"),
        (small(STEP, f"{STEP}        timeout: soon\n"), 27, "projects[0].process[0].timeout",
         "1h30m"),
        (small(STEP, f"{STEP}        timeout: 0\n"), 27, "projects[0].process[0].timeout",
         "more than 0"),
        (small(STEP, f"{STEP}        timeout: 1e999\n"), 27, "projects[0].process[0].timeout",
         "at most 31622400"),
        (small(STEP, f"{STEP}        kind: powershell\n"), 27, "projects[0].process[0].kind",
         "must be 'script', 'package', 'http', 'systemd', 'docker-compose', 'ansible', 'manual' or "
         "'rolling'"),
        (small(STEP, f"{STEP}        idempotent: maybe\n"), 27, "projects[0].process[0].idempotent",
         "true or false"),
        (small(STEP, f"{STEP}        on_unknown: retry\n"), 27, "projects[0].process[0].on_unknown",
         "must be 'fail', 'ask' or 'rerun'"),
        (small(STEP, f"{STEP}        on_unknown: reruns\n"), 27,
         "projects[0].process[0].on_unknown", "did you mean 'rerun'?"),
        (small(STEP, f"{STEP}        on_unknown: true\n"), 27, "projects[0].process[0].on_unknown",
         "must be 'fail', 'ask' or 'rerun'"),
        (small(STEP, f"{STEP}        on_stale: terminat\n"), 27, "projects[0].process[0].on_stale",
         "must be 'wait' or 'terminate'; did you mean 'terminate'?"),
        (small(STEP, f"{STEP}        touches: [{{resource: a, mode: greedy}}]\n"), 27,
         "projects[0].process[0].touches[0].mode", "'exclusive' or 'shared'"),
        (small("echo hello", '""'), 26, "projects[0].process[0].script", "not be empty"),
        (small("[web]\n  - name: prod", "[web, web]\n  - name: prod"), 5, "machines[0].roles[1]",
         "'web' is named twice"),
        (small("    variables: []\n    process", "    variables: [Token]\n    process"), 22,
         "projects[0].variables[0]", "must be a mapping"),
        (small("    variables: []\n    process",
               "    variables: [{name: A, value: }]\n    process"),
         22, "projects[0].variables[0].value", "no value"),
        (small("    variables: []\n    process",
               "    variables: [{name: A, value: x, scope: {environments: }}]\n    process"),
         22, "projects[0].variables[0].scope.environments", "a list"),
        (small("    variables: []\n    process",
               "    variables: [{name: A, value: x, scope: {roles: []}}]\n    process"),
         22, "projects[0].variables[0].scope.roles", "not be empty"),
    ],
)  # fmt: skip
def test_what_the_schema_refuses_is_told_with_its_place(
    faults: Faults, text: str, line: int, path: str, message: str
) -> None:
    found = [(f.file, f.line, f.path) for f in faults(text) if message in f.message]
    assert found == [("catalog.yaml", line, path)]


def test_a_project_without_steps_and_a_lifecycle_without_phases_are_faults(faults: Faults) -> None:
    process = SMALL[SMALL.index("    process:") :]
    phases = "    phases:\n      - {name: Test, automatic: [QA]}\n"
    phases += "      - {name: Live, automatic: [Production]}\n"
    found = faults(small(process, "    process: []\n", phases, "    phases: []\n"))
    assert [(f.path, f.message) for f in found] == [
        ("lifecycles[0].phases", "must not be empty"),
        ("projects[0].process", "must not be empty"),
    ]


def test_a_misspelt_key_is_one_fault_and_hides_no_other(faults: Faults) -> None:
    text = small(
        "    lifecycle: auto",
        "    lifecycel: atuo",
        "roles: [web]\n        script",
        "roles: [wbe]\n        script",
    )
    assert [(f.line, f.path, f.message) for f in faults(text)] == [
        (19, "projects[0].lifecycel", "unknown key 'lifecycel'; did you mean 'lifecycle'?"),
        (19, "projects[0].lifecycel", "there is no lifecycle 'atuo'; did you mean 'auto'?"),
        (
            25,
            "projects[0].process[0].roles[0]",
            "there is no machine with the role 'wbe'; did you mean 'web'?",
        ),
    ]


def test_a_faulty_part_leaves_the_places_of_the_others_as_they_are(faults: Faults) -> None:
    text = small(
        "process:\n",
        "process:\n      - {name: First, retries: many}\n",
        "[web]\n        s",
        "[wbe]\n        s",
    )
    assert [(f.line, f.path) for f in faults(text)] == [
        (24, "projects[0].process[0].retries"),
        (24, "projects[0].process[0]"),
        (26, "projects[0].process[1].roles[0]"),
    ]


def test_a_faulty_item_still_counts_for_those_that_refer_to_it(faults: Faults) -> None:
    text = small("  - name: auto\n", "  - name: auto\n    colour: red\n")
    assert [f.path for f in faults(text)] == ["lifecycles[0].colour"]


def test_what_stands_under_a_misspelt_key_still_counts_for_those_that_refer_to_it(
    faults: Faults,
) -> None:
    text = small(
        "    roles: [web]", "    rols: [front]",
        "    channels:", "    chanels:",
        "    variables: []\n    process",
        "    variables: [{name: A, value: 1, scope: {channels: [hotfix], roles: [front]}}]\n"
        "    process",
    )  # fmt: skip
    assert [f.path for f in faults(text)] == ["machines[0].rols", "projects[0].chanels"]


def test_numbers_stand_as_they_are_written_and_truth_values_as_octopus_writes_them(
    read: Read,
) -> None:
    values = {
        "1.10": "1.10",
        "007": "007",
        "8080": "8080",
        "1e3": "1e3",
        "true": "True",
        "FALSE": "False",
        "yes": "yes",
        '"true"': "true",
        "12:30": "12:30",
        "2024-01-01": "2024-01-01",
        '""': "",
    }
    items = ", ".join(f"{{name: v{i}, value: {said}}}" for i, said in enumerate(values))
    catalog = read(small("variables: []", f"variables: [{items}]"))
    (shared,) = catalog.of("variable_set")
    assert [v["value"] for v in shared.document["variables"]] == list(values.values())


def test_a_name_that_looks_like_a_number_is_taken_as_it_is_written(read: Read) -> None:
    catalog = read(small("qa-1", "1.10"))
    assert catalog.of("machine")[0].name == "1.10"


@pytest.mark.parametrize(
    ("said", "seconds"), [("15m", 900), ("90s", 90), ("1h30m", 5400), ("2d", 172800), ("2.5", 2.5),
                          ("90", 90), ('"90"', 90)]
)  # fmt: skip
def test_a_timeout_is_a_span_or_a_number_of_seconds(read: Read, said: str, seconds: float) -> None:
    catalog = read(small(STEP, f"{STEP}        timeout: {said}\n"))
    assert catalog.of("project")[0].document["process"][0]["timeout_seconds"] == seconds
