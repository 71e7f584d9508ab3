"""Why a value wins or does not, and what it is built from."""

from __future__ import annotations

import pytest
from hypothesis import given

from deployengine.domain.explanation import explain, paths
from deployengine.domain.insertion import Plain
from deployengine.domain.variables import (
    AmbiguousVariable,
    Context,
    Scope,
    Source,
    Variable,
    key,
    resolve,
    system_source,
    system_variables,
)
from tests.domain.test_variable_properties import SOURCES
from tests.support.place import HERE

PLACE = Context(environment="QA", machine="qa-1", roles=("web", "db"))


def project(*variables: Variable) -> Source:
    return Source("project shop", variables)


def told(*sources: Source, name: str = "A", context: Context = PLACE) -> list[tuple[object, ...]]:
    return [
        (c.variable.value, c.source, c.applies, c.wins, c.why)
        for c in explain(name, sources, context)
    ]


def test_each_value_is_told_with_what_became_of_it_the_winner_first() -> None:
    own = project(
        Variable("A", "wide"),
        Variable("a ", "cache", Scope(roles=("cache", "queue"), environments=("Live",))),
        Variable("A", "step", Scope(steps=("Install",))),
        Variable("A", "role", Scope(roles=("web",))),
        Variable("B", "other"),
    )
    shared = Source("variable set First", (Variable("A", "first", Scope(roles=("db",))),))
    more = Source("variable set Second", (Variable("A", "qa", Scope(environments=("QA",))),))
    assert told(own, shared, more) == [
        ("role", "project shop", True, True,
         "role web; as specific as in variable set First, but project shop comes first"),
        ("first", "variable set First", True, False,
         "as specific as the one in project shop, which comes first"),
        ("qa", "variable set Second", True, False,
         "role web in project shop is more specific"),
        ("wide", "project shop", True, False,
         "role web in project shop is more specific"),
        ("step", "project shop", False, False,
         "step Install does not match: no step is given here"),
        ("cache", "project shop", False, False,
         "role cache or queue does not match: here it is web and db; "
         "environment Live does not match: here it is QA"),
    ]  # fmt: skip


def test_a_variable_whose_values_are_all_for_elsewhere_has_no_winner() -> None:
    scope = Scope(machines=tuple(f"prod-{n:02}" for n in range(1, 31)))
    assert told(project(Variable("A", "x", scope))) == [
        ("x", "project shop", False, False,
         "machine prod-01, prod-02, prod-03 or 27 others does not match: here it is qa-1"),
    ]  # fmt: skip
    assert told(project(), name="Nothing") == []


def test_a_catalogs_value_of_a_system_variable_is_told_to_have_no_effect() -> None:
    name = "Octopus.Project.Name"
    system = system_source(system_variables(project="shop"))
    assert told(system, project(Variable(name, "forged")), name=name) == [
        ("shop", "system", True, True, "unscoped; the only value that applies"),
        ("forged", "project shop", False, False, "only the engine sets this variable"),
    ]


def test_a_tie_is_an_error_here_as_well() -> None:
    with pytest.raises(AmbiguousVariable):
        explain("A", [project(Variable("A", "1"), Variable("A", "2"))], PLACE)


@given(SOURCES)
def test_explaining_and_resolving_say_the_same(sources: list[Source]) -> None:
    try:
        winner = resolve("Colour", sources, HERE)
    except AmbiguousVariable:
        return
    found = explain("Colour", sources, HERE)
    wins = [c for c in found if c.wins]
    assert [(c.variable.value, c.source, c.why) for c in wins] == (
        [(winner.value, winner.source, winner.why)] if winner else []
    )
    assert all(c.why for c in found)
    assert all(c.applies == c.variable.scope.applies(HERE) for c in found)
    assert len(found) == sum(key(v.name) == "colour" for s in sources for v in s.variables)


# What a value is built from.


def values(*secret: str, **texts: str) -> dict[str, Plain]:
    return {key(name): Plain(name, text, name in secret) for name, text in texts.items()}


def test_a_value_is_traced_through_all_that_it_is_built_from_by_the_shortest_way() -> None:
    known = values(
        Url="http://#{host}:#{Port | Trim}/#{if Deep}#{None}#{/if}",
        Host="#{Name}.#{Domain}",
        Name="#{Domain}",
        Port="80",
        Domain="test",
        Deep="no",
        Elsewhere="x",
    )
    assert paths("url", known) == (
        ("Url", "Host"),
        ("Url", "Port"),
        ("Url", "Deep"),
        ("Url", "None"),
        ("Url", "Host", "Name"),
        ("Url", "Host", "Domain"),
    )
    assert paths("Port", known) == ()


def test_circles_end_and_nobody_looks_into_secrets_and_unreadable_values() -> None:
    known = values("Secret", A="#{B}#{A}#{Secret}#{Bad}", B="#{A}", Secret="#{B}#{X}", Bad="#{")
    assert paths("A", known) == (("A", "B"), ("A", "Secret"), ("A", "Bad"))
    assert paths("Secret", known) == ()
