"""``--variable`` and ``--variable-file``: values of prompted variables."""

from __future__ import annotations

import io

import click
import pytest

from deployengine.cli.prompted_values import prompted_values
from deployengine.domain.errors import RequestError


def file(text: str) -> io.StringIO:
    found = io.StringIO(text)
    found.name = "values.yaml"
    return found


def test_values_come_from_options_and_from_a_file() -> None:
    given = prompted_values(["Mode = a=b "], file("Token: word\nReleased: 1.10\nLoud: true\n"))
    assert given == {"Mode": " a=b ", "Token": "word", "Released": "1.10", "Loud": "True"}
    assert prompted_values([], None) == {}


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (["Mode=ok", "mode=5ecret"], None),
        (["Mode=ok", "Mode=ok"], None),
        ([], "Mode: ok\nMode: 5ecret\n"),
        ([], "Mode: ok\n' mode ': 5ecret\n"),
        (["Mode=ok"], "mode: 5ecret\n"),
    ],
)
def test_a_variable_that_is_given_twice_is_refused_without_its_values(
    variables: list[str], text: str | None
) -> None:
    with pytest.raises(RequestError, match=r"(?i)mode.*given more than once") as refused:
        prompted_values(variables, None if text is None else file(text))
    assert "5ecret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 5ecret\n", "values.yaml: must be a mapping"),
        ("5ecret\n", "values.yaml: must be a mapping"),
        ("", "values.yaml: must be a mapping"),
        ("Fine: a\nToken: 5ecret #{Name}\n", "values.yaml:2: here #{ begins a comment"),
        ("Fine: a\nToken: *5ecret\n", "values.yaml:2: is no YAML"),
        ("Fine: a\nToken: !5ecret x\n", "values.yaml:2: the value of Token is no text"),
        ("Token: [5ecret]\n", "values.yaml:1: the value of Token is no text"),
        ("Token:\n", "values.yaml:1: the value of Token is no text"),
        ("[5ecret]: a\n", "values.yaml:1: a name must be a text"),
        ("'': a\n", "values.yaml:1: a name must be a text"),
    ],
)
def test_a_file_that_cannot_be_meant_is_told_with_its_line_and_without_its_values(
    text: str, said: str
) -> None:
    with pytest.raises(RequestError) as refused:
        prompted_values([], file(text))
    assert said in str(refused.value)
    assert "5ecret" not in str(refused.value)


def test_an_option_without_a_name_is_a_usage_error() -> None:
    for wrong in ("word", "=word", " =word"):
        with pytest.raises(click.BadParameter, match="is no NAME=VALUE"):
            prompted_values([wrong], None)
