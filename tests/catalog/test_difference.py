"""What applying a catalog would change, and how people are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.catalog import Catalog, CatalogItem, difference
from deployengine.catalog.runs_of_names import summary
from tests.catalog.conftest import SMALL, Read, small


def stored(catalog: Catalog) -> dict[tuple[str, str], Any]:
    """As it comes back from a database."""
    return {(i.kind, i.name): json.loads(json.dumps(i.document)) for i in catalog.items}


def test_the_same_catalog_twice_is_no_difference(read: Read) -> None:
    text = small("        script", "        timeout: 15m\n        touches: [iis]\n        script")
    found = difference(stored(read(text)), read(text))
    assert found.is_empty
    assert found.unchanged == 10
    assert list(found.lines()) == []


def test_a_first_catalog_adds_everything_and_an_older_one_goes(read: Read) -> None:
    found = difference({("project", "old"): {"name": "old"}}, read(SMALL))
    assert list(found.lines()) == [
        "+ environment QA",
        "+ environment Production",
        "+ machine qa-1",
        "+ machine prod-01",
        "+ machine prod-02",
        "+ machine prod-03",
        "+ lifecycle auto",
        "+ variable set Shared",
        "+ project app-1",
        "+ project app-2",
        "- project old",
    ]
    assert (len(found.added), found.removed, found.unchanged) == (10, (("project", "old"),), 0)


def test_many_alike_are_told_in_one_line(read: Read) -> None:
    many = read(small("[1:2]", "[001:200]"))
    assert list(difference({}, many).lines())[-1] == "+ project app-001 … app-200 (200)"
    later = read(small("[1:2]", "[001:200]", "include: [Shared]", "include: []"))
    found = difference(stored(many), later)
    assert list(found.lines()) == [
        "~ project app-001 … app-200 (200)",
        '    include: ["Shared"] → []',
    ]
    assert len(found.changed) == 200


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("        script", "        retries: 1\n        script",
         ["process[Install].retries: 0 → 1"]),
        ("        script", "        timeout: 15m\n        script",
         ["process[Install].timeout_seconds: nothing → 900.0"]),
        ("    lifecycle: auto", "    lifecycle: other", ['lifecycle: "auto" → "other"']),
        ("    channels: [{name: hotfix, lifecycle: auto}]\n", "",
         ['channels[hotfix]: {"name": "hotfix", "lifecycle": "auto"} → nothing']),
        ("script: echo hello", "script: |\n          a\n          b",
         ['process[Install].script: "echo hello" → "a\\nb\\n"']),
        ("        script", "        touches: [iis]\n        script",
         ['process[Install].touches[iis]: nothing → {"resource": "iis"}']),
        ("    variables: []\n    process",
         "    variables:\n    - {name: P, value: 1}\n"
         "    - {name: P, value: 2, scope: {roles: [db]}}\n    process",
         ['variables[P]: nothing → {"name": "P", "value": "1"}',
          'variables[P, role db]: nothing → '
          '{"name": "P", "value": "2", "scope": {"roles": ["db"]}}']),
    ],
)  # fmt: skip
def test_a_change_is_told_with_its_place_and_both_values(
    read: Read, old: str, new: str, lines: list[str]
) -> None:
    other = ("lifecycles:\n", "lifecycles:\n  - {name: other, phases: [{name: Test}, "
             "{name: x, automatic: [QA]}]}\n")  # fmt: skip
    found = difference(stored(read(small(*other))), read(small(old, new, *other)))
    assert list(found.lines()) == ["~ project app-1", "~ project app-2"] + [
        f"    {line}" for line in lines
    ]


def test_of_a_long_script_only_the_lines_that_differ_are_told(read: Read) -> None:
    def script(middle: str) -> str:
        return small("echo hello", f"|\n          first\n          {middle}\n          last")

    found = difference(stored(read(script("one"))), read(script("two")))
    assert list(found.lines()) == [
        "~ project app-1",
        "~ project app-2",
        "    process[Install].script:",
        "      - one",
        "      + two",
    ]


def test_another_order_of_steps_is_a_change(read: Read) -> None:
    def steps(first: str, second: str) -> str:
        listed = f"{{name: {first}, script: x}}, {{name: {second}, script: x}}"
        return SMALL[: SMALL.index("    process:")] + f"    process: [{listed}]\n"

    found = difference(stored(read(steps("A", "B"))), read(steps("B", "A")))
    assert list(found.lines())[-1] == '    process (order): ["A", "B"] → ["B", "A"]'


def test_another_order_of_environments_is_a_change_and_of_machines_is_none(read: Read) -> None:
    found = difference(stored(read(SMALL)), read(small("[QA, Production]", "[Production, QA]")))
    assert not found.is_empty
    assert list(found.lines()) == [
        "~ environments in another order: QA, Production → Production, QA"
    ]
    turned = read(SMALL)
    turned = Catalog(tuple(i for i in turned.items if i.name != "qa-1") + turned.of("machine")[:1])
    assert difference(stored(read(SMALL)), turned).is_empty


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.data())
def test_documents_differ_exactly_when_they_are_not_equal(
    document: dict[str, Any], data: st.DataObject
) -> None:
    other = data.draw(st.just(document) | st.dictionaries(st.text(max_size=3), JSON, max_size=3))
    catalog = Catalog((CatalogItem("project", "p", 0, other),))
    found = difference({("project", "p"): document}, catalog)
    missing = {k: v for k, v in document.items() if v is not None}
    assert found.is_empty == (missing == {k: v for k, v in other.items() if v is not None})
    assert bool(list(found.lines())) != found.is_empty


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), unique=True))
def test_a_summary_counts_every_name_once(pairs: list[tuple[str, int]]) -> None:
    names = [f"{letter}-{number:02d}" for letter, number in pairs]
    counted = 0
    for said in summary(names):
        counted += int(said.rpartition("(")[2].rstrip(")")) if "…" in said else 1
    assert counted == len(names)
