"""Values that must be given, where nobody is there to give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.conftest import Faults, Read, small

REASON = "{name: Reason, prompt: {required: true}}"
BY_HAND = ("automatic: [QA]", "manual: [QA]", "automatic: [Production]", "manual: [Production]")
SCHEDULE = "schedules:\n  - {name: h, project: app-2, environment: QA, cron: '0 2 * * *'}\n"


def with_variable(variable: str, *changes: str, included: bool = False) -> str:
    """The small catalog with a variable of its project or of the set that it includes."""
    where = "proj" if included else "    process"
    old, new = f"    variables: []\n{where}", f"    variables: [{variable}]\n{where}"
    return small(old, new, *changes)


@pytest.mark.parametrize("included", [False, True])
@pytest.mark.parametrize("more", ["", ", value: ''", ", sensitive: true"])
def test_a_schedule_that_could_not_answer_is_a_fault(
    faults: Faults, more: str, included: bool
) -> None:
    asked = REASON.replace("Reason,", f"Reason{more},")
    (fault,) = faults(with_variable(asked, *BY_HAND, included=included) + SCHEDULE)
    assert (fault.line, fault.path) == (28, "schedules[0].project")
    assert fault.message == (
        "app-2 asks for Reason, and a schedule has nobody to answer; "
        "give it a value, or leave 'required' out"
    )


@pytest.mark.parametrize(
    "scope", ["environments: [QA, Production]", "roles: [db]", "environments: [QA]"]
)
def test_a_schedule_is_told_of_what_is_asked_in_its_environment(faults: Faults, scope: str) -> None:
    (fault,) = faults(with_variable(f"{REASON[:-1]}, scope: {{{scope}}}}}", *BY_HAND) + SCHEDULE)
    assert "app-2 asks for Reason" in fault.message


@pytest.mark.parametrize(
    "variable",
    [
        "{name: Reason, prompt: {required: true}, value: none}",
        "{name: Reason, prompt: {}}",
        f"{REASON[:-1]}, scope: {{environments: [Production]}}}}",
        f"{REASON[:-1]}, scope: {{channels: [hotfix]}}}}",
        f"{REASON[:-1]}, scope: {{phases: [Test]}}}}",  # a channel may have another phase there
    ],
)
def test_a_schedule_that_may_well_work_is_none(read: Read, variable: str) -> None:
    assert not read(with_variable(variable, *BY_HAND) + SCHEDULE).warnings


def test_without_channels_the_phase_of_a_schedule_is_known(faults: Faults) -> None:
    variable = f"{REASON[:-1]}, scope: {{phases: [Test]}}}}"
    no_channels = ("    channels: [{name: hotfix, lifecycle: auto}]\n", "")
    (fault,) = faults(with_variable(variable, *BY_HAND, *no_channels) + SCHEDULE)
    assert fault.path == "schedules[0].project"


@pytest.mark.parametrize(
    ("included", "line", "path"),
    [(False, 22, "projects[0].variables[0].prompt"), (True, 21, "projects[0].include")],
)
def test_of_a_phase_that_deploys_by_itself_a_warning_tells(
    read: Read, included: bool, line: int, path: str
) -> None:
    (warning,) = read(with_variable(REASON, included=included)).warnings
    assert (Path(warning.file or "").name, warning.line, warning.path) == (
        "catalog.yaml",
        line,
        path,
    )
    assert warning.message == (
        "Reason must be given for QA, which phase Test deploys to by itself, "
        "with nobody to answer; give it a value, or leave 'required' out"
    )


@pytest.mark.parametrize(
    "text",
    [
        with_variable(REASON, *BY_HAND),
        with_variable("{name: Reason, prompt: {required: true}, value: none}"),
        with_variable(f"{REASON[:-1]}, scope: {{phases: [Live]}}}}", *BY_HAND[2:]),
        with_variable(REASON, *BY_HAND[:2], "[Production]}", "[Production], optional: true}"),
    ],
)  # fmt: skip
def test_where_somebody_deploys_or_a_value_stands_there_is_no_warning(
    read: Read, text: str
) -> None:
    assert not read(text).warnings
