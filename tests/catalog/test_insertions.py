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
        ("#{if A}\necho\n#{else}\necho $((#{Octopus.Step.Name | Trim}))\n#{/if}",
         "line 4 of the script: the value of Octopus.Step.Name | Trim cannot be quoted here: a "
         "shell evaluates what stands in (( )); use a variable of the shell that is set where it "
         "can be, or #{Octopus.Step.Name | Trim | raw} to insert it as code"),
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
    own = [value("x", "X"), value("b", "B"), value("c", "C"), value("d", "D")]
    assert read(with_variables([value(text), *own], []))
    assert read(
        script(f"echo {text} '{text}'").replace("    variables: []\n    p", listed(own) + "    p")
    )


# ---- variables that there are not ----

LITERAL = "write ##{ where the text shall hold #{ itself"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo #{Ocotpus.Release.Numbr}",
         "there is no variable 'Ocotpus.Release.Numbr'; "
         f"did you mean 'Octopus.Release.Number'? Or {LITERAL}"),
        ("echo\necho \"#{ Prot | ToUpper }\"",
         f"line 2: there is no variable 'Prot'; did you mean 'Port'? Or {LITERAL}"),
        ("echo #{Xyz | raw}", f"there is no variable 'Xyz'; {LITERAL}"),
        ("echo #{Octopus.Action[Instal].Output.X}",
         f"there is no step 'Instal'; did you mean 'Install'? Or {LITERAL}"),
        ("echo #{Octopus.Action[Zed].Output[qa-1].X}", f"there is no step 'Zed'; {LITERAL}"),
        ("echo #{Octopus.Template.Each.Index}",
         "there is no variable 'Octopus.Template.Each.Index'; "
         f"did you mean 'Octopus.Machine.Name'? Or {LITERAL}"),
        ("#{each x in Port}echo #{Xyz}#{/each}", f"there is no variable 'Xyz'; {LITERAL}"),
        ("echo #{Port | Append #{Xyz}}", f"there is no variable 'Xyz'; {LITERAL}"),
        ("echo #{Port[#{Xyz}]}", f"there is no variable 'Xyz'; {LITERAL}"),
    ],
)  # fmt: skip
def test_a_variable_that_there_is_not_is_told_with_the_nearest(
    faults: Faults, text: str, said: str
) -> None:
    (found,) = faults(with_script(text))
    assert (found.path, found.message) == ("projects[0].process[0].script", said)


def with_script(text: str) -> str:
    """The small catalog with this script and the variables Port and, in its set, Shade."""
    variables = with_variables(
        [value("80", "Port", scope={"roles": ["db"]})], [value("x", "Shade")]
    )
    return variables.replace("echo hello", json.dumps(text))


@pytest.mark.parametrize(
    "text",
    [
        "echo #{port} #{ Shade } #{Octopus.Machine.Roles}",
        "echo #{Octopus.Action[install].Output.X} #{Octopus.Action[Install].Output[qa-1].X}",
        "#{if Nope}echo #{nope} #{Nope.Inner}#{else}echo#{/if}",
        "#{unless Nope}echo#{else}echo #{Nope}#{/unless}",
        "#{if Port}echo #{Nope}#{else}echo #{Other}#{/if}",
        "#{each x in Nope}echo #{x} #{x.Inner} #{Octopus.Template.Each.Index}#{/each}",
        "#{each a in Octopus.Action}echo #{a.Output.X}#{/each}",
        "echo ##{Nope}",
        "echo  # as #{Nope} or #{Nope | Append #{Other}}",
        "echo #{Port[#{Shade}]}",
    ],
)
def test_what_may_have_a_value_is_no_fault(read: Read, text: str) -> None:
    assert not read(with_script(text)).warnings


def test_a_condition_is_told(faults: Faults) -> None:
    text = with_variables([], []).replace(
        "        script", "        condition: '#{Qrs}'\n        script"
    )
    (found,) = faults(text)
    assert (found.path, found.message) == (
        "projects[0].process[0].condition",
        f"there is no variable 'Qrs'; {LITERAL}",
    )


def test_a_value_which_nothing_may_use_is_warned_of_and_no_secret_is_quoted(read: Read) -> None:
    variables = [value("#{Xyz}"), value("s#{cret}", "B", sensitive=True)]
    assert [(f.path, f.message) for f in read(with_variables(variables, [])).warnings] == [
        ("projects[0].variables[0].value", f"there is no variable 'Xyz'; {LITERAL}"),
        ("projects[0].variables[1].value",
         f"the value refers to a variable that there is not; {LITERAL}"),
    ]  # fmt: skip


def test_a_value_of_a_set_is_warned_of_if_no_project_that_includes_it_has_the_variable(
    read: Read,
) -> None:
    (found,) = read(with_variables([], [value("#{Xyz}")])).warnings
    assert found.path == "variable_sets[0].variables[0].value"
    assert not read(with_variables([value("1", "Xyz")], [value("#{Xyz}")])).warnings
    alone = with_variables([], [value("#{Xyz}")]).replace("    include: [Shared]\n", "")
    assert not read(alone).warnings


def test_what_is_wrong_elsewhere_makes_no_variable_missing(faults: Faults) -> None:
    wrong = [value("1", "Port", scope={"role": ["web"]})]
    (found,) = faults(with_variables(wrong, []).replace("echo hello", "'echo #{Port}'"))
    assert found.path == "projects[0].variables[0].scope.role"
    text = with_script("echo #{Shade}").replace("[Shared]", "[Shraed]")
    assert [f.path for f in faults(text)] == ["projects[0].include[0]"]


def test_instructions_that_would_be_shown_as_they_are_written_are_warned_of(read: Read) -> None:
    text = small("        roles: [web]\n        script: echo hello",
                 "        kind: manual\n        instructions: 'Look at #{Xyz}'")  # fmt: skip
    (warning,) = read(text).warnings
    assert (warning.line, warning.path) == (26, "projects[0].process[0].instructions")
    assert warning.message == f"there is no variable 'Xyz'; {LITERAL}"
