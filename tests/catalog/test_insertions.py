"""What stands in ``#{…}`` is read when the catalog is applied, wherever it can be."""

from __future__ import annotations

import json

import pytest

from tests.catalog.conftest import Faults, Read, small

UNREADABLE = (
    "the value holds a #{ that begins no reference, or a filter that there is not; "
    "write ##{ for the signs themselves"
)
CIRCLE = (
    "variables refer to each other in a circle: {}; give one of them a value that does not lead "
    "back to it"
)


def listed(variables: list[dict[str, object]]) -> str:
    return f"    variables: {json.dumps(variables)}\n"


def with_variables(project: list[dict[str, object]], shared: list[dict[str, object]]) -> str:
    """The small catalog with these variables of its project and of the set that it includes."""
    return small(
        "    variables: []\nprojects",
        f"{listed(shared)}projects",
        "    variables: []\n    process",
        f"{listed(project)}    process",
    )


def value(text: str, name: str = "A", **more: object) -> dict[str, object]:
    return {"name": name, "value": text, **more}


def script(text: str) -> str:
    return small("echo hello", f"{json.dumps(text)}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#{B | ToUper}",
         "#{B | ToUper} asks for the filter ToUper, but there is none of that name; "
         "did you mean 'ToUpper'?"),
        ("#{B | Truncate}",
         "#{B | Truncate} asks for the filter Truncate, but it cannot have 0 options; "
         "write Truncate LENGTH [SUFFIX]"),
        ("#{B | Truncate ten}",
         "#{B | Truncate ten} asks for the filter Truncate, but 'ten' is no whole number"),
        ("a\n#{if B}b", "line 2: #{if B} has no end; write #{/if} where it ends"),
        ("#{each b of B}#{/each}",
         "#{each b of B} is no loop; write #{each item in Name}"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_value_is_told_where_it_stands(
    faults: Faults, text: str, said: str
) -> None:
    (found,) = faults(with_variables([], [value(text)]))
    assert (found.line, found.path) == (16, "variable_sets[0].variables[0].value")
    assert found.message == said


@pytest.mark.parametrize("text", ["s#{cret", "#{s | cret}", "#{if s}cret", '#{s | Match "(cret"}'])
def test_a_sensitive_value_is_not_quoted_by_its_fault(faults: Faults, text: str) -> None:
    (found,) = faults(with_variables([value(text, sensitive=True)], []))
    assert (found.path, found.message) == ("projects[0].variables[0].value", UNREADABLE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\necho #{B | ToUper}",
         "line 2: #{B | ToUper} asks for the filter ToUper, but there is none of that name; "
         "did you mean 'ToUpper'?"),
        ("#{if B}\n#{/unless}",
         "line 2: #{/unless} stands where #{/if} is due; "
         "write ##{ where the text shall hold #{ itself"),
        ("#{if A}\necho\n#{else}\necho $((#{B | Trim}))\n#{/if}",
         "line 4 of the script: the value of B | Trim cannot be quoted here: a shell evaluates "
         "what stands in (( )); use a variable of the shell that is set where it can be, or "
         "#{B | Trim | raw} to insert it as code"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_script_is_told_with_its_line(
    faults: Faults, text: str, said: str
) -> None:
    (found,) = faults(script(text))
    assert (found.path, found.message) == ("projects[0].process[0].script", said)


def test_a_circle_through_a_project_and_its_set_is_told_at_the_project(faults: Faults) -> None:
    own = [value("1", "Z"), value("#{if Z}#{B | ToUpper}#{/if}", scope={"environments": ["QA"]})]
    shared = [value("#{each z in Z}#{A}#{/each}", "B")]
    (found,) = faults(with_variables(own, shared))
    assert found.path == "projects[0].variables[1].value"
    assert found.message == CIRCLE.format("A → B → A")


def test_a_circle_within_a_set_is_told_there_and_not_again_for_who_includes_it(
    faults: Faults,
) -> None:
    shared = [value("#{Y | Trim}", "X"), value("#{unless X}1#{/unless}", "Y")]
    (found,) = faults(with_variables([value("#{X}")], shared))
    assert found.path == "variable_sets[0].variables[0].value"
    assert found.message == CIRCLE.format("X → Y → X")


def test_a_right_one_is_no_fault(read: Read) -> None:
    text = '#{if X == "x"}#{B | Replace "a" #{C}}#{else}#{each d in D}#{d.E}#{/each}#{/if}'
    assert read(with_variables([value(text)], []))
    assert read(script(f"echo {text} '{text}'"))
