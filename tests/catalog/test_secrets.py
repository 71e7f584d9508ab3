"""Sensitive values: sealed on the way to the store, and shown nowhere."""

from __future__ import annotations

import pytest

from deployengine.catalog import Catalog, difference
from deployengine.domain.errors import InvalidInput
from deployengine.domain.variables import Sealed, Variable
from tests.catalog.conftest import Read, small

SECRET = "tops3cret"
VARIABLES = "    variables: []\n    process"


def with_variable(variable: str) -> str:
    return small(VARIABLES, f"    variables:\n      - {variable}\n    process")


class Seal:
    """Seals as the engine does: another cipher each time, the same mac for the same text."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, text: str) -> dict[str, str]:
        self.count += 1
        return {"cipher": f"c{self.count}", "mac": f"m{hash(text)}"}


def stored(catalog: Catalog) -> dict[tuple[str, str], dict[str, object]]:
    return {(item.kind, item.name): item.document for item in catalog.items}


def test_sealing_replaces_sensitive_values_and_only_those(read: Read) -> None:
    text = with_variable(f"{{name: Token, value: {SECRET}, sensitive: true}}\n"
                         "      - {name: Port, value: 1}")  # fmt: skip
    sealed = read(text).sealed(Seal())
    token, port = (Variable.from_document(v) for v in sealed.of("project")[0].document["variables"])
    assert isinstance(token.value, Sealed)
    assert token.sensitive
    assert port.value == "1"
    assert SECRET not in str(stored(sealed))


def test_sealing_twice_seals_once(read: Read) -> None:
    once = read(with_variable(f"{{name: T, value: {SECRET}, sensitive: true}}")).sealed(Seal())
    assert once.sealed(Seal()) == once


@pytest.mark.parametrize("value", ["", 'value: "", '])
def test_a_secret_that_is_asked_for_and_has_no_value_has_none_when_it_is_sealed(
    read: Read, value: str
) -> None:
    text = with_variable(f"{{name: T, {value}sensitive: true, prompt: {{required: true}}}}")
    sealed = read(text).sealed(Seal())
    (token,) = sealed.of("project")[0].document["variables"]
    assert Variable.from_document(token).value == ""
    assert difference(stored(sealed), read(text).sealed(Seal())).is_empty


def test_a_secret_that_is_empty_and_that_nobody_asks_for_is_sealed(read: Read) -> None:
    sealed = read(with_variable('{name: T, value: "", sensitive: true}')).sealed(Seal())
    (token,) = sealed.of("project")[0].document["variables"]
    assert isinstance(Variable.from_document(token).value, Sealed)


def test_a_catalog_shows_no_secret_before_it_is_sealed(read: Read) -> None:
    catalog = read(with_variable(f"{{name: T, value: {SECRET}, sensitive: true}}"))
    assert SECRET not in repr(catalog)
    assert SECRET not in f"{catalog.items[-1]!r} {catalog.items[-1]}"


@pytest.mark.parametrize(
    "variable",
    [
        f"{{name: OctopusBypassDeploymentMutex, value: {SECRET}, sensitive: true}}",
        f'{{name: T, value: "#{{{SECRET}", sensitive: true}}',
        f'{{name: T, value: "#{{if {SECRET}}}", sensitive: true}}',
        f"{{name: T, value: [{SECRET}], sensitive: true}}",
        f"{{name: T, value: {{a: {SECRET}}}, sensitive: true}}",
        f"{{name: T, vaule: {SECRET}, sensitive: true}}",
        f"{{name: T, value: a, sensitive: {SECRET}}}",
        f"{{name: T, value: a, scope: {SECRET}}}",
        f"{{name: T, value: !{{}} {SECRET}, sensitive: true}}",
        f"{{name: T, value: !!int {SECRET}, sensitive: true}}",
        f"{{name: T, value: {SECRET}, sensitive: true}}\n      - {{name: t, value: {SECRET}}}",
        f'{{name: T, value: "{SECRET}, sensitive: true}}',
        f"T={SECRET}",
    ],
)
def test_no_fault_quotes_a_value(read: Read, variable: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(with_variable(variable))
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.faults!r}"


def test_the_same_secret_sealed_anew_is_no_change(read: Read) -> None:
    text = with_variable(f"{{name: T, value: {SECRET}, sensitive: true}}")
    seal = Seal()
    found = difference(stored(read(text).sealed(seal)), read(text).sealed(seal))
    assert found.is_empty
    assert found.unchanged == 10


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{{name: T, value: {SECRET}, sensitive: true}}", "{name: T, value: x, sensitive: true}"),
        ("{name: T, value: x, sensitive: true}", f"{{name: T, value: {SECRET}, sensitive: true}}"),
        (f"{{name: T, value: {SECRET}, sensitive: true}}", "{name: T, value: x}"),
        ("{name: T, value: x}", f"{{name: T, value: {SECRET}, sensitive: true}}"),
        (f"{{name: T, value: {SECRET}, sensitive: true}}", "{name: U, value: x}"),
        ("{name: U, value: x}", f"{{name: T, value: {SECRET}, sensitive: true}}"),
    ],
)
def test_a_changed_secret_is_a_change_that_shows_neither(
    read: Read, before: str, after: str
) -> None:
    seal = Seal()
    old, new = read(with_variable(before)).sealed(seal), read(with_variable(after)).sealed(seal)
    found = difference(stored(old), new)
    shown = "\n".join(found.lines())
    assert not found.is_empty
    assert "********" in shown
    for text in (shown, repr(found)):
        assert SECRET not in text
        assert "cipher" not in text


def test_even_an_unsealed_catalog_shows_no_secret_in_a_difference(read: Read) -> None:
    catalog = read(with_variable(f"{{name: T, value: {SECRET}, sensitive: true}}"))
    found = difference(stored(catalog.sealed(Seal())), catalog)
    assert not found.is_empty
    assert SECRET not in repr(found) + "\n".join(found.lines())
