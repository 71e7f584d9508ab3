"""Run conditions: texts that say whether a step is to run."""

from __future__ import annotations

import pytest

from deployengine.domain.conditions import evaluate_condition, truth
from deployengine.domain.insertion import (
    BadReference,
    FilterFailed,
    Plain,
    UnknownVariable,
    VariableCycle,
)
from deployengine.domain.variables import key


def holds(text: str, **texts: str) -> bool:
    return evaluate_condition(
        text, {key(name): Plain(name, value) for name, value in texts.items()}
    )


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "False", "false", "FALSE ", "No", "nO", "0", " 0\n"]
)
def test_nothing_false_no_and_0_are_false(text: str) -> None:
    assert truth(text) is False
    assert holds(text) is False
    assert holds("#{A}\n", A=text) is False


@pytest.mark.parametrize("text", ["True", "true", "1", "yes", "00", "-", "null", "off", "n o"])
def test_all_else_is_true(text: str) -> None:
    assert truth(text) is True
    assert holds(text) is True
    assert holds("#{A}\n", A=text) is True


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("#{DeployIt}", False),
        ("#{DeployIt | ToUpper}", False),
        ('#{if Stage == "QA"}true#{/if}\n', True),
        ('#{if Stage != "QA"}true#{/if}\n', False),
        ("#{if Stage | StartsWith q}true#{else}false#{/if}", False),
        ("#{unless DeployIt}true#{/unless}", True),
        ("#{Stage | Contains A}", True),
        ("#{if DeployIt}true#{/if}#{if Stage}true#{/if}", True),
    ],
)
def test_a_condition_is_taken_for_what_it_comes_to(text: str, result: bool) -> None:
    assert holds(text, Stage="QA") is result


def test_what_a_value_refers_to_must_be_there() -> None:
    with pytest.raises(UnknownVariable, match="variable A: no variable 'Typo'"):
        holds("#{A}", A="#{Typo}")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("#{if A}", BadReference),
        ("#{A | Wrong}", BadReference),
        ("#{A | VersionMajor}", FilterFailed),
        ("#{Circle}", VariableCycle),
    ],
)
def test_a_condition_that_cannot_be_worked_out_is_an_error_and_no_answer(
    text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        holds(text, A="?", Circle="#{Circle}")
