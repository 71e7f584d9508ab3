"""References in texts and scripts: what they become, what is secret of it, what is wrong."""

from __future__ import annotations

import pickle
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.errors import RequestError
from deployengine.domain.insertion import (
    BadReference,
    NulInValue,
    Plain,
    UnknownVariable,
    Unquotable,
    VariableCycle,
    expand,
    find_cycles,
    find_unquotable,
    insert,
    insert_script,
    plain_values,
    references,
)
from deployengine.domain.variables import (
    Context,
    Sealed,
    Source,
    Variable,
    key,
    resolve_all,
)


def values(*secret: str, **texts: str) -> dict[str, Plain]:
    """Variables by name, those named in ``secret`` sensitive; ``_`` in a name stands for a dot."""
    named = {name.replace("_", "."): text for name, text in texts.items()}
    return {key(name): Plain(name, text, name in secret) for name, text in named.items()}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("#{Name}", "shop"),
        ("a#{ name }b#{NAME}", "ashopbshop"),
        ("#{Octopus.Project.Name}", "shop"),
        ("##{Name}", "#{Name}"),
        ("###{Name}", "##{Name}"),
        ("##{Name} #{Name}", "#{Name} shop"),
        ("# {Name} $#Name {Name}", "# {Name} $#Name {Name}"),
        ("#{Name | raw}", "shop"),
        ("#{Name|RAW}", "shop"),
        ("#{Greeting}!", "hello shop!"),
        ("#{Literal}", "#{Name}"),
    ],
)
def test_a_reference_gives_way_to_the_value(text: str, result: str) -> None:
    known = values(
        Name="shop", Octopus_Project_Name="shop", Greeting="hello #{name}", Literal="##{Name}"
    )
    assert insert(text, known).text == result


@pytest.mark.parametrize(
    "name", ["Octopus.Action[Step A].Output.Url", "A:B", "a b", "x-y", "Ärger", "it's"]
)
def test_names_may_hold_what_octopus_names_hold(name: str) -> None:
    known = {key(name): Plain(name, "value")}
    assert insert(f"<#{{{name}}}>", known).text == "<value>"
    assert references(f"#{{ {name} }}") == (name,)


def test_references_are_listed_once_each_and_in_order() -> None:
    assert references("#{B} ##{C} #{a | raw} #{ b } #{D}") == ("b", "a", "D")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x #{Name", "not closed"),
        ("#{Name\n}", "not closed"),
        ("#{A#{B}}", "not closed"),
        ("#{}", "no variable"),
        ("#{ | raw}", "no variable"),
        ("#{Name | ToUpper}", "filter 'ToUpper'"),
        ("#{if Debug}", "condition"),
        ("#{each x in Xs}", "condition"),
        ("#{/if}", "condition"),
    ],
)
def test_a_malformed_reference_is_an_error_that_says_how_to_write_it(text: str, said: str) -> None:
    with pytest.raises(BadReference) as caught:
        insert(f"one\n{text}", values(Name="shop"))
    for part in (said, "line 2", "##{"):
        assert part in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownVariable) as caught:
        insert("#{Conection}", values(Connection="x", Other="y"))
    assert "'Conection'" in str(caught.value)
    assert "did you mean 'Connection'" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_unknown_name_inside_a_value_tells_whose_value_it_is() -> None:
    with pytest.raises(UnknownVariable, match="variable Url: no variable 'Host' has a value"):
        expand("Url", values(Url="http://#{Host}"))


def test_a_circle_is_named_in_its_order() -> None:
    known = values(Start="#{A}", A="#{b}", B="x #{C}", C="#{A}")
    with pytest.raises(VariableCycle, match="A → B → C → A") as caught:
        expand("start", known)
    assert caught.value.names == ("A", "B", "C", "A")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(VariableCycle, match="A → A"):
        expand("A", values(A="#{a}"))


def test_a_value_may_be_reached_on_two_ways() -> None:
    assert expand("A", values(A="#{B}#{C}", B="#{D}", C="#{D}", D="d")).text == "dd"


def test_values_that_double_each_other_are_expanded_once_each() -> None:
    known = {f"v{n}": Plain(f"v{n}", f"#{{v{n + 1}}}" * 2) for n in range(60)}
    assert expand("v0", {**known, "v60": Plain("v60", "")}).text == ""


def test_an_endless_looking_row_of_values_is_an_error() -> None:
    known = {f"v{n}": Plain(f"v{n}", f"#{{v{n + 1}}}") for n in range(5000)}
    with pytest.raises(BadReference, match="in a row"):
        expand("v0", known)


# Secrets.


def test_what_is_built_from_a_secret_is_secret() -> None:
    known = values("Password", Password="hunter2", Url="db://me:#{Password}@host", Deep="<#{Url}>")
    deep = expand("Deep", known)
    assert deep.sensitive
    assert deep.secrets == {"hunter2", "db://me:hunter2@host", "<db://me:hunter2@host>"}
    assert not expand("Name", values("Password", Name="x", Password="y")).sensitive


def test_a_text_tells_the_secrets_that_went_into_it() -> None:
    known = values("Password", Password="hunter2", Name="shop")
    assert insert("#{Name}: #{Password}", known).secrets == {"hunter2"}
    assert insert("#{Name}", known).secrets == frozenset()


def test_the_empty_text_is_never_masked_though_it_is_sensitive() -> None:
    inserted = insert("#{Password}", values("Password", Password=""))
    assert inserted.sensitive
    assert inserted.secrets == frozenset()


def test_a_script_tells_its_secrets_and_how_a_trace_would_write_them() -> None:
    inserted = insert_script("log in #{Password}", values("Password", Password="it's"))
    assert inserted.sensitive
    assert inserted.secrets == {"it's", "it'\\''s", "it'\"'\"'s"}


@pytest.mark.parametrize("text", ["p#{ssw", "p#{ssw}rd", "p#{ssw|wrd}", "#{}ssw"])
def test_an_error_in_a_secret_does_not_show_it(text: str) -> None:
    with pytest.raises(RequestError, match="variable Token") as caught:
        expand("Token", values("Token", Token=text))
    assert "ssw" not in str(caught.value)
    assert "wrd" not in str(caught.value)


def test_no_repr_shows_a_value() -> None:
    known = values("Token", Token="hunter2")
    assert "hunter2" not in repr([*known.values(), expand("Token", known)])


def test_sealed_values_are_unsealed_on_the_way_in() -> None:
    source = Source(
        "project shop",
        (Variable("Token", Sealed("2retnuh", "m"), sensitive=True), Variable("Name ", "shop")),
    )
    known = plain_values(resolve_all([source], Context()), lambda sealed: sealed.cipher[::-1])
    assert insert("#{Name} #{token}", known).text == "shop hunter2"
    assert expand("Token", known).secrets == {"hunter2"}


# Scripts.


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0#"), max_size=12))
def test_a_script_quotes_for_each_place(value: str) -> None:
    script = "bare=#{V}; double=\"<#{V}>\"; single='<#{V}>'"
    inserted = insert_script(script, values(V=value)).text
    bare = "'" + value.replace("'", "'\"'\"'") + "'"
    assert inserted.startswith(f"bare={bare}; double=")
    assert inserted.endswith("; single='<" + value.replace("'", "'\\''") + ">'")


def test_a_script_prints_what_its_variables_hold() -> None:
    script = (
        "# deploys #{Project}, not #{NoSuch}\n"
        'echo "installing #{Project} ##{x} on #{Machine}"; echo #{Project}\n'
        "cat <<EOF\n#{Project}\nEOF\n#{Command | raw}\n"
    )
    known = values(Project='a "b" $(id) `id` \\', Machine="m'1", Command="echo one; echo two")
    inserted = insert_script(script, known)
    assert "# deploys #{Project}, not #{NoSuch}\n" in inserted.text
    done = subprocess.run(["/bin/sh", "-c", inserted.text], capture_output=True, text=True)
    name = known["project"].text
    assert done.stdout == f"installing {name} #{{x}} on m'1\n{name}\n{name}\none\ntwo\n"


def test_a_value_is_not_scanned_for_references_a_second_time() -> None:
    assert insert_script("echo #{A}", values(A="##{B}")).text == "echo '#{B}'"


def test_a_raw_value_counts_as_code_for_the_places_behind_it() -> None:
    known = values(Open='echo "', Name="a b$")
    assert insert_script('#{Open | raw}#{Name}"', known).text == 'echo "a b\\$"'


def test_an_unquotable_place_is_an_error_that_says_where_why_and_what_instead() -> None:
    with pytest.raises(Unquotable) as caught:
        insert_script("echo\ncat <<'EOF'\n#{Name}\nEOF\n", values(Name="shop"))
    for part in ("line 3", "here-document", "get_variable 'Name'", "#{Name | raw}"):
        assert part in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_script_for_another_program_takes_raw_values_only() -> None:
    python = "#!/usr/bin/env python3\nprint({})\n"
    with pytest.raises(Unquotable, match="python3"):
        insert_script(python.format("#{N}"), values(N="1"))
    assert insert_script(python.format("#{N | raw}"), values(N="1")).text == python.format("1")


@pytest.mark.parametrize("script", ["echo #{V}", "echo #{V | raw}", "#!/bin/awk\n#{V | raw}"])
def test_a_value_with_a_nul_character_is_an_error(script: str) -> None:
    with pytest.raises(NulInValue, match="value of V"):
        insert_script(script, values(V="a\0b"))


def test_a_script_with_a_nul_character_is_an_error() -> None:
    with pytest.raises(BadReference, match="NUL"):
        insert_script("echo \0 #{V}", values(V="1"))


def test_all_unquotable_places_are_found_without_any_value() -> None:
    script = 'echo #{A} $((#{B}))\n#{C | raw}\n# #{D}\necho ${x:-#{E}} "#{F}"\n'
    found = find_unquotable(script)
    assert [(u.reference, u.line) for u in found] == [("B", 1), ("E", 4)]


# Circles among definitions.


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
