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
        ("#{Name | ToUpper | raw}", "SHOP"),
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


def test_references_are_found_in_options_conditions_branches_loops_and_names() -> None:
    text = (
        '#{A | Replace #{B} "C" | Append #{D | Trim}}#{if E == F}#{G}#{elseif "x" != H}#{I}'
        "#{else}#{J}#{/if}#{unless K}#{L}#{/unless}#{M[#{N}].O}"
        "#{each z in P}#{z} #{z.Q} #{R}#{Octopus.Template.Each.Index}#{/each}#{z}"
    )
    assert "".join(references(text)) == "ABDEFGHIJKLNPRz"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x #{Name", "not closed"),
        ("#{Name\n}", "not closed"),
        ("#{A#{B}}", "not closed"),
        ("#{}", "no variable"),
        ("#{ | raw}", "no variable"),
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


def test_a_filtered_value_is_quoted_as_any_other_and_a_raw_one_is_code() -> None:
    known = values(Name="it's $HOME")
    script = 'echo #{Name | ToUpper} "#{Name | Append "`"}" #{Name | Substring 2 | raw}'
    assert insert_script(script, known).text == ("echo 'IT'\"'\"'S $HOME' \"it's \\$HOME\\`\" it")


def test_a_script_runs_the_branch_that_is_chosen_and_quotes_the_values_in_it() -> None:
    script = """
#{if Loud}
say() { echo "#{Name | ToUpper}!"; }
#{else}
say() { echo "#{Name}"; }
#{/if}
say
#{each port in Ports}
echo #{port} '#{Name} on #{port | Trim}'
#{/each}
echo "#{if Loud}it's #{Name}#{/if}#{unless Loud}quiet#{/unless}" # #{if Loud}x#{/if} #{NoSuch}
"""
    known = {"Name": '$(id) `id` "it\'s"', "Ports": "80, 443;id"}
    for loud, said in (("True", "{0}!\n{1}it's {2}\n"), ("False", "{2}\n{1}quiet\n")):
        inserted = insert_script(script, values(**known, Loud=loud))
        done = subprocess.run(["/bin/sh", "-c", inserted.text], capture_output=True, text=True)
        name = known["Name"]
        ports = f"80 {name} on 80\n 443;id {name} on 443;id\n"
        assert done.stdout == said.format(name.upper(), ports, name)
        assert not done.stderr


def test_the_chosen_branch_decides_where_the_values_behind_it_stand() -> None:
    script = '#{if Quoted}echo "#{else}echo #{/if}#{Name}#{if Quoted}"#{/if}'
    assert insert_script(script, values(Name="a b$", Quoted="1")).text == 'echo "a b\\$"'
    assert insert_script(script, values(Name="a b$", Quoted="0")).text == "echo 'a b$'"


def test_the_interpreter_may_be_chosen_too() -> None:
    script = "#{if Python}#!/usr/bin/env python3#{/if}\n#{Name}"
    assert insert_script(script, values(Name="x", Python="no")).text == "\n'x'"
    with pytest.raises(Unquotable, match="python3"):
        insert_script(script, values(Name="x", Python="yes"))


def test_a_script_tells_the_secrets_that_its_filters_made() -> None:
    inserted = insert_script("log in #{Password | ToUpper}", values("Password", Password="it's"))
    assert {"it's", "IT'S", "IT'\\''S"} <= inserted.secrets


def test_unquotable_places_are_found_on_every_way_through_the_conditions() -> None:
    script = (
        "#{if A}echo $((#{B}))#{elseif C}echo ${x:-#{D | ToUpper}}#{else}#{if E}$((#{F}))#{/if}"
        "#{/if}\n#{each g in G}$((#{g}))#{/each}"
    )
    found = find_unquotable(script)
    assert [(u.reference, u.line) for u in found] == [
        ("B", 1), ("D | ToUpper", 1), ("F", 1), ("g", 2),
    ]  # fmt: skip
    assert "#{D | ToUpper | raw}" in str(found[1])
    assert "get_variable" not in str(found[1])


def test_a_place_that_some_way_makes_right_is_not_refused_beforehand() -> None:
    script = '#{if Quoted}echo "#{else}echo $((#{/if}#{Name}#{if Quoted}"#{else}))#{/if}'
    assert find_unquotable(script) == ()
    with pytest.raises(Unquotable):
        insert_script(script, values(Name="1", Quoted="0"))
