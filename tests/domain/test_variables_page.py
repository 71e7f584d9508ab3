"""What docs/variables.md says in its tables is what happens."""

from __future__ import annotations

import json

import pytest

from deployengine.domain import filters
from deployengine.domain.insertion import Plain, insert, references
from deployengine.domain.template_parser import parse
from deployengine.domain.variables import (
    KINDS,
    AmbiguousVariable,
    Context,
    Scope,
    Source,
    Variable,
    key,
    resolve,
)
from tests.support.pages import code, table

PAGE = "variables.md"
CASES = table(PAGE, "Case", "One value", "Another value", "Wins")
FILTERS = table(PAGE, "Filter", "Example", "Value", "Result")
BLOCKS = table(PAGE, "Text", "Variables", "Result")

#: The place that the page describes.
HERE = Context(
    environment="Production",
    machine="prod-01",
    roles=("web", "db"),
    channel="hotfix",
    step="Install",
    tenant="acme",
    phase="Live",
)


def scope(words: str) -> Scope:
    """A scope from words such as ``role web or db and environment QA``."""
    if words == "unscoped":
        return Scope()
    kinds = (part.split(" ", 1) for part in words.split(" and "))
    return Scope(**{f"{kind}s": tuple(names.split(" or ")) for kind, names in kinds})


def sources(*values: tuple[str, str]) -> list[Source]:
    """The project and its sets; each value is called as said first and stands as said second."""
    made = []
    for label in ("project", "First", "Second"):
        own = [(name, place.split(": ")[1]) for name, place in values if place.startswith(label)]
        made.append(Source(label, tuple(Variable("Name", name, scope(s)) for name, s in own)))
    assert sum(len(source.variables) for source in made) == len(values)
    return made


def winner(*values: tuple[str, str]) -> str:
    try:
        found = resolve("Name", sources(*values), HERE)
    except AmbiguousVariable as error:
        return "error" if all(f'"{name}"' in str(error) for name, _ in values) else "mute error"
    return "neither" if found is None else str(found.value)


@pytest.mark.parametrize(("case", "one", "another", "wins"), CASES, ids=[c[0] for c in CASES])
def test_the_value_that_the_page_names_wins_however_they_are_defined(
    case: str, one: str, another: str, wins: str
) -> None:
    assert winner(("one", one), ("another", another)) == wins
    assert winner(("another", another), ("one", one)) == wins


def test_the_table_has_a_row_for_each_kind_of_scope_and_each_outcome() -> None:
    said = " ".join(cell for case in CASES for cell in case[1:3])
    assert [kind for kind in KINDS if f"{kind.removesuffix('s')} " not in said] == []
    assert {case[3] for case in CASES} == {"one", "another", "neither", "error"}


@pytest.mark.parametrize(("name", "example", "value", "result"), FILTERS)
def test_a_filter_does_what_its_example_says(
    name: str, example: str, value: str, result: str
) -> None:
    assert f"| {name}" in code(example)
    assert insert(code(example), {"name": Plain("Name", code(value))}).text == code(result)


def test_the_page_has_an_example_of_every_filter_and_of_no_other() -> None:
    assert {row[0] for row in FILTERS} == {each.name for each in filters.FILTERS.values()}


def test_the_page_says_which_filters_of_octopus_are_not_here() -> None:
    said = " ".join(row[0] for row in table(PAGE, "Octopus", "Here")).casefold()
    assert [name for name in filters.LEFT_OUT if f"`{name}`" not in said] == []


@pytest.mark.parametrize(("text", "variables", "result"), BLOCKS)
def test_a_block_becomes_what_its_example_says(text: str, variables: str, result: str) -> None:
    values = {key(n): Plain(n, v) for n, v in json.loads(variables.strip("`")).items()}
    assert insert(code(text), values).text == code(result)
    assert parse(code(text))
    references(code(text))
