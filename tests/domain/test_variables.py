"""Which value of a variable wins, and why; and the flag that is read from one."""

from __future__ import annotations

import pickle
from itertools import pairwise

import pytest

from deployengine.domain.flags import BYPASS, UnparsableFlag, bypass
from deployengine.domain.variables import (
    KINDS,
    MASK,
    SYSTEM_NAMES,
    AmbiguousVariable,
    Context,
    Resolved,
    Scope,
    Sealed,
    Source,
    Variable,
    is_system,
    key,
    resolve,
    resolve_all,
    system_source,
    system_variables,
)
from tests.support.place import HERE, MATCHING


def scope(words: str) -> Scope:
    """A scope from words such as ``environments=QA,Staging roles=web``."""
    return Scope.from_document(
        {kind: names.split(",") for kind, names in (word.split("=") for word in words.split())}
    )


def project(*values: tuple[str, str], name: str = "Colour") -> Source:
    """A project in which the variable has these values, each with the words of its scope."""
    return Source("project shop", tuple(Variable(name, v, scope(words)) for v, words in values))


def library(label: str, *values: tuple[str, str], name: str = "Colour") -> Source:
    return Source(label, project(*values, name=name).variables)


def won(*sources: Source, name: str = "Colour", context: Context = HERE) -> str | None:
    resolved = resolve(name, sources, context)
    return None if resolved is None else str(resolved.value)


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        # Each kind beats the next one, and any of them beats none.
        *pairwise([*(f"{kind}={name}" for kind, name in MATCHING.items()), ""]),
        # Kinds add up.
        ("environments=Production roles=web", "roles=web"),
        ("environments=Production roles=web", "environments=Production"),
        ("environments=Production channels=auto", "environments=Production phases=Live"),
        ("steps=Install phases=Live", "steps=Install"),
        # But no number of lower kinds outweighs a higher one.
        ("machines=prod-01", "roles=web environments=Production"),
        (
            "steps=Install",
            "machines=prod-01 roles=web tenants=acme environments=Production channels=auto "
            "phases=Live",
        ),
        ("roles=web", "tenants=acme environments=Production channels=auto phases=Live"),
        # How many alternatives a kind lists counts for nothing.
        ("environments=Production channels=auto", "environments=QA,Staging,Production"),
    ],
)
def test_the_more_specific_value_wins(winner: str, loser: str) -> None:
    assert won(project(("won", winner), ("lost", loser))) == "won"
    assert won(project(("lost", loser), ("won", winner))) == "won"
    assert won(project(("lost", loser)), library("Shared", ("won", winner))) == "won"


@pytest.mark.parametrize(
    ("words", "applies"),
    [
        ("", True),
        ("environments=Production", True),
        ("environments=QA,Production", True),
        ("environments=QA,Staging", False),
        ("roles=db", True),
        ("roles=cache,db", True),
        ("roles=cache", False),
        ("roles=web environments=QA", False),
        ("roles=cache environments=Production", False),
        ("roles=web environments=Production", True),
        ("machines=prod-02", False),
        ("channels=by-hand", False),
    ],
)
def test_alternatives_of_one_kind_suffice_and_all_kinds_must_match(
    words: str, applies: bool
) -> None:
    assert scope(words).applies(HERE) is applies
    assert won(project(("value", words))) == ("value" if applies else None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_context_does_not_know_matches_no_scope(kind: str) -> None:
    assert not scope(f"{kind}={MATCHING[kind]}").applies(Context())


def test_even_values_are_decided_by_the_order_of_their_sources() -> None:
    first, second = library("First", ("one", "")), library("Second", ("two", ""))
    assert won(project(("own", "")), first, second) == "own"
    assert won(first, second) == "one"
    assert won(second, first) == "two"


def test_two_even_values_of_one_source_are_an_error_that_names_both() -> None:
    source = project(("red", "roles=web"), ("blue", "roles=db"), ("green", ""))
    with pytest.raises(AmbiguousVariable) as caught:
        resolve("Colour", [source], HERE)
    said = str(caught.value)
    for part in ("Colour", '"red"', "role web", '"blue"', "role db", "project shop", "prod-01"):
        assert part in said
    assert "green" not in said
    assert caught.value.exit_code == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == said


def test_that_error_shows_no_secret() -> None:
    source = Source(
        "project shop",
        (
            Variable("Token", "hunter2", sensitive=True),
            Variable("Token", Sealed("cipher-text", "the-mac")),
        ),
    )
    with pytest.raises(AmbiguousVariable) as caught:
        resolve("Token", [source], HERE)
    assert str(caught.value).count(MASK) == 2
    for secret in ("hunter2", "cipher-text", "the-mac"):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value)


def test_even_values_do_no_harm_where_a_more_specific_one_wins() -> None:
    assert won(project(("red", ""), ("blue", ""), ("green", "roles=web"))) == "green"


def test_even_values_of_a_later_source_do_no_harm_either() -> None:
    assert won(project(("own", "")), library("Shared", ("a", ""), ("b", ""))) == "own"


@pytest.mark.parametrize("asked", ["colour", " COLOUR ", "Colour\t"])
@pytest.mark.parametrize("defined", ["Colour", "Colour ", " cOLOUR"])
def test_case_and_space_around_a_name_do_not_count(asked: str, defined: str) -> None:
    assert won(project(("red", ""), name=defined), name=asked) == "red"
    assert key(asked) == key(defined)


def test_the_reason_says_what_decided() -> None:
    def why(*sources: Source) -> str:
        resolved = resolve("Colour", sources, HERE)
        assert resolved is not None
        return resolved.why

    assert why(project(("red", ""))) == "unscoped; the only value that applies"
    assert why(project(("red", "environments=QA,Production roles=web"), ("blue", ""))) == (
        "role web and environment QA or Production; the most specific of 2 values that apply"
    )
    assert why(project(("red", "")), library("Shared", ("blue", ""))) == (
        "unscoped; as specific as in Shared, but project shop comes first"
    )


def test_all_variables_are_resolved_at_once_and_those_without_a_value_left_out() -> None:
    own = Source(
        "project shop",
        (
            Variable("Colour ", "red"),
            Variable("Size", "big", scope("environments=QA")),
            Variable("Token", Sealed("c", "m"), sensitive=True),
        ),
    )
    found = resolve_all([own, library("Shared", ("blue", "roles=web"))], HERE)
    assert {name: (r.name, r.value, r.source, r.sensitive) for name, r in found.items()} == {
        "colour": ("Colour", "blue", "Shared", False),
        "token": ("Token", Sealed("c", "m"), "project shop", True),
    }


def test_nobody_can_override_a_system_variable() -> None:
    system = system_source(system_variables(project="shop", machine="prod-01"))
    own = project(("forged", "steps=Install machines=prod-01"), name="octopus.project.NAME")
    for sources in ([system, own], [own, system]):
        assert won(*sources, name="Octopus.Project.Name") == "shop"
        assert resolve_all(sources, HERE)["octopus.project.name"].source == "system"
    assert won(own, name="Octopus.Project.Name") is None


@pytest.mark.parametrize(
    "name", [BYPASS, "Octopus.Task.ConcurrencyTag", "Octopus.Action.MaxParallelism"]
)
def test_the_behaviour_switches_are_ordinary_variables(name: str) -> None:
    assert not is_system(name)
    assert won(project(("1", ""), name=name), name=name) == "1"


def test_system_variables_bear_the_octopus_names_and_what_is_unknown_is_left_out() -> None:
    assert system_variables() == {}
    assert system_variables(
        project="shop",
        release="1.0",
        environment="QA",
        machine="qa-01",
        roles=("web", "db"),
        step="Install",
        deployment="d-7",
        channel="auto",
    ) == {
        "Octopus.Project.Name": "shop",
        "Octopus.Release.Number": "1.0",
        "Octopus.Environment.Name": "QA",
        "Octopus.Machine.Name": "qa-01",
        "Octopus.Machine.Roles": "web,db",
        "Octopus.Step.Name": "Install",
        "Octopus.Action.Name": "Install",
        "Octopus.Deployment.Id": "d-7",
        "Octopus.Release.Channel.Name": "auto",
    }
    assert all(map(is_system, SYSTEM_NAMES))


def test_no_repr_shows_a_value() -> None:
    secret = Sealed("cipher-text", "the-mac")
    resolved = Resolved("Token", "hunter2", "project shop", Scope(), True, "unscoped")
    shown = repr([secret, Variable("Token", secret), Variable("Token", "hunter2"), resolved])
    for text in ("cipher-text", "the-mac", "hunter2"):
        assert text not in shown


def test_a_document_that_names_an_unknown_kind_is_not_taken_for_unscoped() -> None:
    with pytest.raises(TypeError, match="enviroments"):
        Variable.from_document({"name": "A", "value": "1", "scope": {"enviroments": ["QA"]}})


def test_a_document_may_leave_out_what_it_does_not_need() -> None:
    assert Variable.from_document({"name": "A", "value": "1"}) == Variable("A", "1")


# The bypass flag.


@pytest.mark.parametrize("name", [BYPASS, f"{BYPASS} ", BYPASS.upper()])
def test_a_bypass_in_a_variable_set_acts_in_the_environment_it_is_scoped_to_only(
    name: str,
) -> None:
    shared = library("variable set Shared", ("True", "environments=QA"), name=name)
    sources = (Source("project shop", ()), shared)
    acts = {
        environment: bypass(won(*sources, name=BYPASS, context=Context(environment=environment)))
        for environment in ("QA", "Staging", "Production")
    }
    assert acts == {"QA": True, "Staging": False, "Production": False}


@pytest.mark.parametrize("value", ["True", "true ", " TRUE", "1", "yes", "on", "On\n"])
def test_a_clear_yes_bypasses(value: str) -> None:
    assert bypass(value) is True


@pytest.mark.parametrize("value", [None, "", "  ", "False", " false", "0", "NO", "off"])
def test_a_clear_no_and_no_value_do_not_bypass(value: str | None) -> None:
    assert bypass(value) is False


@pytest.mark.parametrize("value", ["Ture", "2", "yes please", "#{Flag}", "TrueTrue", "-"])
def test_anything_else_is_an_error_and_not_a_no(value: str) -> None:
    with pytest.raises(UnparsableFlag) as caught:
        bypass(value, "variable set Shared")
    for part in (BYPASS, f'"{value}"', "variable set Shared", "True or False"):
        assert part in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_sensitive_flag_is_not_shown_when_it_cannot_be_read() -> None:
    with pytest.raises(UnparsableFlag) as caught:
        bypass("hunter2", sensitive=True)
    assert "hunter2" not in str(caught.value)
    assert MASK in str(caught.value)
