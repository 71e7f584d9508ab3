"""Circles of variables: all of them found, each named once, before anybody walks one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.insertion import Plain, VariableCycle, expand, find_cycles
from deployengine.domain.variables import Sealed, Variable, key


def variables(**texts: str | Sealed) -> list[Variable]:
    return [Variable(name, text) for name, text in texts.items()]


def test_circles_are_found_among_definitions_each_from_its_first_variable() -> None:
    found = find_cycles(
        variables(Z="#{A}", A="#{B}", B="#{c}#{D}", C="#{A}", D="#{Elsewhere}", E="#{e}")
    )
    assert {cycle.names for cycle in found} == {("A", "B", "C", "A"), ("E", "E")}


def test_two_circles_through_one_variable_are_both_found() -> None:
    found = find_cycles(variables(A="#{B} #{C}", B="#{A}", C="#{A}"))
    assert {cycle.names for cycle in found} == {("A", "B", "A"), ("A", "C", "A")}


def test_a_circle_over_several_values_of_a_name_counts_whatever_their_scopes() -> None:
    found = find_cycles([*variables(A="1", B="2"), *variables(A="#{B}"), *variables(B="#{A}")])
    assert [cycle.names for cycle in found] == [("A", "B", "A")]


def test_sealed_and_malformed_values_refer_to_nothing() -> None:
    assert find_cycles(variables(A=Sealed("#{A}", "m"), B="#{B", C="#{A}#{B}")) == ()


@given(
    st.dictionaries(
        st.sampled_from("ABCDEF"), st.lists(st.sampled_from("ABCDEF"), max_size=3), min_size=1
    )
)
def test_definitions_have_a_circle_if_and_only_if_some_value_runs_into_one(
    graph: dict[str, list[str]],
) -> None:
    texts = {name: "".join(f"#{{{n}}}" for n in graph.get(name, ())) for name in "ABCDEF"}
    known = {key(name): Plain(name, text) for name, text in texts.items()}

    def runs_into_one(name: str) -> bool:
        try:
            expand(name, known)
        except VariableCycle:
            return True
        return False

    assert bool(find_cycles(variables(**texts))) == any(map(runs_into_one, texts))


@pytest.mark.parametrize(
    "text",
    [
        "#{B | ToUpper | Append x}",
        "#{Other | Append #{B}}",
        '#{Other | Replace #{B} "x"}',
        "#{if B}x#{/if}",
        '#{if Other == "x"}#{else}#{B}#{/if}',
        "#{if Other}#{elseif Other != B}x#{/if}",
        "#{unless Other}#{B}#{/unless}",
        "#{each b in B}x#{/each}",
        "#{each o in Other}#{B}#{/each}",
        "#{Other[#{B}]}",
    ],
)
def test_a_circle_leads_through_filters_conditions_loops_and_names(text: str) -> None:
    found = find_cycles(variables(A=text, B="#{A}", Other="1"))
    assert [cycle.names for cycle in found] == [("A", "B", "A")]


@pytest.mark.parametrize(
    "text", ["#{B | ToUpper}", "#{if B}x#{/if}", "#{each b in B}x#{/each}", "#{A[#{B}]}"]
)
def test_whoever_walks_into_such_a_circle_is_told_of_it(text: str) -> None:
    known = {key(name): Plain(name, value) for name, value in (("A", text), ("B", "#{A}"))}
    with pytest.raises(VariableCycle, match="A → B → A"):
        expand("A", known)


def test_a_branch_that_is_not_taken_is_not_walked_into() -> None:
    known = {key("A"): Plain("A", "#{if Off}#{A}#{else}well#{/if}")}
    assert expand("A", known).text == "well"


def test_the_item_of_a_loop_is_no_variable_of_that_name() -> None:
    assert find_cycles(variables(A="#{each a in B}#{a}#{/each}", B="1,2")) == ()
