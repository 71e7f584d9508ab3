"""What is true of which value wins, whatever the values: no example needed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.flags import BYPASS, bypass
from deployengine.domain.variables import (
    KINDS,
    AmbiguousVariable,
    Context,
    Scope,
    Sealed,
    Source,
    Variable,
    key,
    resolve,
    resolve_all,
)
from tests.support.place import HERE, MATCHING

NAMES = {kind: [name, f"other-{kind}"] for kind, name in MATCHING.items()}
SCOPES = st.builds(
    Scope,
    **{
        kind: st.lists(st.sampled_from(names), unique=True, max_size=2).map(tuple)
        for kind, names in NAMES.items()
    },
)
VALUES = st.one_of(st.text(max_size=3), st.builds(Sealed, st.text(), st.text()))
VARIABLES = st.builds(
    Variable, st.sampled_from(["Colour", "colour ", "Size"]), VALUES, SCOPES, st.booleans()
)
SOURCES = st.lists(
    st.builds(
        Source,
        st.sampled_from(["project", "First", "Second"]),
        st.lists(VARIABLES, max_size=5).map(tuple),
    ),
    max_size=3,
    unique_by=lambda source: source.label,
)
#: A scope that applies in HERE.
APPLYING = st.sets(st.sampled_from(KINDS)).map(
    lambda kinds: Scope(**{kind: (MATCHING[kind],) for kind in kinds})
)
#: Other ways to write a name.
SPELT = st.builds(
    lambda before, chance, after, name: (
        before
        + "".join(random.Random(chance).choice((str.upper, str.lower))(c) for c in name)
        + after
    ),
    st.text(" \t\n", max_size=2),
    st.integers(),
    st.text(" \t\n", max_size=2),
    st.just(BYPASS),
)


def outcome(sources: list[Source]) -> object:
    """The value that wins and where it stands, or that there is a tie."""
    try:
        resolved = resolve("Colour", sources, HERE)
    except AmbiguousVariable:
        return "ambiguous"
    return resolved and (resolved.value, resolved.source, resolved.scope, resolved.sensitive)


@given(VARIABLES)
def test_a_variable_survives_its_document(variable: Variable) -> None:
    assert Variable.from_document(variable.to_document()) == variable


@given(SOURCES, st.randoms(use_true_random=False))
def test_the_order_of_definition_does_not_matter(sources: list[Source], chance: object) -> None:
    def shuffled(variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
        return tuple(chance.sample(variables, len(variables)))  # type: ignore[attr-defined]

    assert outcome([Source(s.label, shuffled(s.variables)) for s in sources]) == outcome(sources)


@given(SOURCES, VARIABLES, st.data())
def test_a_value_that_does_not_apply_changes_nothing(
    sources: list[Source], extra: Variable, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    document = extra.to_document()
    document["scope"][kind] = ["elsewhere"]
    more = Source("Third", (Variable.from_document(document),))
    at = data.draw(st.integers(0, len(sources)))
    assert outcome([*sources[:at], more, *sources[at:]]) == outcome(sources)


@given(SOURCES)
def test_what_wins_applies_and_nothing_that_applies_is_more_specific(
    sources: list[Source],
) -> None:
    values = [v for s in sources for v in s.variables if key(v.name) == "colour"]
    applying = [v.scope for v in values if v.scope.applies(HERE)]
    try:
        resolved = resolve("Colour", sources, HERE)
    except AmbiguousVariable:
        assert len(applying) > 1
        return
    if resolved is None:
        assert applying == []
    else:
        assert resolved.scope in applying
        assert resolved.scope.specificity == max(s.specificity for s in applying)


@given(SOURCES)
def test_one_at_a_time_and_all_at_once_say_the_same(sources: list[Source]) -> None:
    try:
        found = resolve_all(sources, HERE)
    except AmbiguousVariable:
        return
    for name in ("Colour", "Size"):
        assert found.get(key(name)) == resolve(name, sources, HERE)


@given(SOURCES, st.data())
def test_the_order_of_sources_decides_only_between_even_values(
    sources: list[Source], data: st.DataObject
) -> None:
    scopes = [v.scope for s in sources for v in s.variables if key(v.name) == "colour"]
    applying = [s.specificity for s in scopes if s.applies(HERE)]
    if applying.count(max(applying, default=())) == 1:
        assert outcome(data.draw(st.permutations(sources))) == outcome(sources)


@given(SOURCES)
def test_a_tie_is_told_exactly_where_two_of_the_best_stand_in_the_first_source_that_has_one(
    sources: list[Source],
) -> None:
    applying = [
        (number, variable)
        for number, source in enumerate(sources)
        for variable in source.variables
        if key(variable.name) == "colour" and variable.scope.applies(HERE)
    ]
    best = max((v.scope.specificity for _, v in applying), default=None)
    first = [number for number, v in applying if v.scope.specificity == best]
    tied = bool(first) and first.count(first[0]) > 1
    assert (outcome(sources) == "ambiguous") is tied


@given(APPLYING, st.sampled_from(KINDS))
def test_one_more_kind_of_scope_never_makes_a_value_less_specific(scope: Scope, kind: str) -> None:
    more = replace(scope, **{kind: (MATCHING[kind],)})
    assert more.specificity >= scope.specificity
    assert (more.specificity == scope.specificity) is (more == scope)
    if more != scope:
        narrow, wide = Variable("Colour", "narrow", more), Variable("Colour", "wide", scope)
        assert outcome([Source("p", (wide,)), Source("s", (narrow,))]) == (
            "narrow",
            "s",
            more,
            False,
        )


@given(st.sampled_from(KINDS), APPLYING)
def test_a_kind_that_does_not_match_never_applies_whatever_else_does(
    kind: str, scope: Scope
) -> None:
    wrong = replace(scope, **{kind: ("elsewhere", "nowhere")})
    assert not wrong.applies(HERE)
    assert wrong.unmatched(HERE) == (kind,)
    nothing_known = Context()
    assert scope.applies(nothing_known) is (scope == Scope())


@given(SPELT, SPELT)
def test_a_name_in_any_case_with_space_around_it_is_the_same_variable(
    defined: str, asked: str
) -> None:
    source = Source("project", (Variable(defined, "True"),))
    found = resolve(asked, [source], HERE)
    assert found is not None
    assert resolve_all([source], HERE) == {key(BYPASS): found}


@given(SPELT, SPELT, st.booleans())
def test_the_bypass_is_never_switched_by_how_its_name_is_spelt(
    first: str, second: str, on: bool
) -> None:
    qa = Variable(first, str(on), Scope(environments=("Production",)))
    wide = Variable(second, str(not on))
    found = resolve(BYPASS, [Source("project", (wide, qa))], HERE)
    assert found is not None
    assert bypass(str(found.value)) is on
    with pytest.raises(AmbiguousVariable):
        resolve(BYPASS, [Source("project", (Variable(first, "True"), wide))], HERE)
