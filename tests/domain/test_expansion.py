"""What conditions, loops and filters come to with values, what is secret of it, what goes wrong."""

from __future__ import annotations

import pickle

import pytest

from deployengine.domain.errors import RequestError
from deployengine.domain.insertion import (
    BadReference,
    FilterFailed,
    Insertion,
    Plain,
    TooMuch,
    UnknownVariable,
    expand,
    expand_all,
    insert,
)
from deployengine.domain.variables import MASK, key


def values(*secret: str, **texts: str) -> dict[str, Plain]:
    """Variables by name, those named in ``secret`` sensitive."""
    return {key(name): Plain(name, text, name in secret) for name, text in texts.items()}


def named(texts: dict[str, str]) -> dict[str, Plain]:
    return {key(name): Plain(name, text) for name, text in texts.items()}


# Conditions.


@pytest.mark.parametrize("text", ["", "False", "FALSE", "no", "No", "0", " ", "false\n", " NO "])
def test_what_octopus_takes_for_false_is_false(text: str) -> None:
    assert insert("#{if A}yes#{else}no#{/if}", values(A=text)).text == "no"
    assert insert("#{unless A}no#{/unless}", values(A=text)).text == "no"


@pytest.mark.parametrize("text", ["True", "yes", "1", "00", "off", "none", "x", "False!"])
def test_everything_else_is_true(text: str) -> None:
    assert insert("#{if A}yes#{else}no#{/if}", values(A=text)).text == "yes"
    assert insert("#{unless A}no#{/unless}", values(A=text)).text == ""


def test_a_variable_without_a_value_is_empty_in_a_condition_and_an_error_elsewhere() -> None:
    assert insert("#{if No}x#{/if}", {}).text == ""
    assert insert("#{if No | VersionMajor}x#{/if}", {}).text == ""
    assert insert("#{if No1 == No2}equal#{/if}", {}).text == "equal"
    assert insert('#{if No != ""}x#{/if}', {}).text == ""
    with pytest.raises(UnknownVariable):
        insert("#{unless No}#{No}#{/unless}", {})


def test_a_value_that_cannot_be_worked_out_is_an_error_in_a_condition_too() -> None:
    with pytest.raises(UnknownVariable, match="variable A: no variable 'Typo' has a value here"):
        insert("#{if A}x#{/if}", values(A="#{Typo}"))


def test_a_comparison_is_exact() -> None:
    assert insert('#{if A == "qa"}x#{/if}', values(A="QA")).text == ""
    assert insert('#{if A == "QA"}x#{/if}', values(A="QA ")).text == ""


def test_only_the_branch_that_is_chosen_is_worked_out() -> None:
    assert insert("#{if A}#{A}#{elseif No}#{No}#{else}#{No}#{/if}", values(A="1")).text == "1"


# Loops.

ACTIONS = named(
    {
        "Octopus.Action[Package A].Name": "A",
        "Octopus.Action[Package A].Roles": "a,b",
        "Octopus.Action[Package B].Name": "#{Other}",
        "Octopus.Action[Package B].Roles": "c",
        "octopus.action[package b].Step": "Step 2",
        "Octopus.Action[].Name": "Blank",
        "Octopus.Action[].Roles": "y",
        "Octopus.Step[Step 2].Status": "Running",
        "Package[box[0]].Name": "inner",
        "Octopus.ActionX[z].Name": "no",
        "Other": "B",
    }
)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("#{each a in Octopus.Action}#{a}-#{a.Name};#{/each}", "Package A-A;Package B-B;-Blank;"),
        ("#{each A in octopus.ACTION}#{a.name}#{/each}", "ABBlank"),
        ("#{each a in Octopus.Action}#{each r in a.Roles}#{a.Name}#{r} #{/each}#{/each}",
         "Aa Ab Bc Blanky "),
        ("#{each a in Octopus.Action}#{if a.Step}#{Octopus.Step[#{a.Step}].Status}#{/if}#{/each}",
         "Running"),
        ("#{each p in Package}#{p}: #{p.Name}#{/each}", "box[0]: inner"),
        ("#{each n in Nothing}#{n}#{/each}", ""),
        ("#{each a in Octopus.Action[Package A].Roles | ToUpper}#{a}#{/each}", "AB"),
        ("#{each r in Octopus.Action[Package A].Roles}#{each r in r}#{r}#{/each}#{r}#{/each}",
         "aabb"),
        ("#{each Other in Octopus.Action[Package A].Roles}#{Other}#{/each}#{Other}", "abB"),
        ("#{each r in Octopus.Action[Package A].Roles}#{Octopus.Template.Each.Index}"
         "#{Octopus.Template.Each.First}#{Octopus.Template.Each.Last} #{/each}",
         "0TrueFalse 1FalseTrue "),
    ],
)  # fmt: skip
def test_a_loop_goes_through_indexes_or_a_list(text: str, result: str) -> None:
    assert insert(text, ACTIONS).text == result


def test_a_loops_names_are_gone_behind_it_and_unseen_by_the_values_it_inserts() -> None:
    known = values(List="1,2", Value="#{item}")
    for text in ("#{each item in List}#{/each}#{item}", "#{each item in List}#{Value}#{/each}"):
        with pytest.raises(UnknownVariable, match="'item'"):
            insert(text, known)


@pytest.mark.parametrize("text", ["[1, 2]", ' {"a": 1}'])
def test_json_is_not_torn_apart_by_its_commas(text: str) -> None:
    with pytest.raises(BadReference, match="holds JSON"):
        insert("#{each x in List}#{x}#{/each}", values(List=text))


def test_brackets_alone_make_no_json() -> None:
    assert insert("#{each x in List}<#{x}>#{/each}", values(List="[a,b]")).text == "<[a><b]>"


def test_an_index_that_no_variable_has_is_told_by_its_whole_name() -> None:
    with pytest.raises(UnknownVariable, match=r"'Port\[QA\]'.* did you mean 'Port\[Qb\]'"):
        insert("#{Port[#{Stage}]}", named({"Stage": "QA", "Port[Qb]": "1"}))


# Secrets.


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("#{Token | ToUpper}", "HUNTER2"),
        ("#{Token | Truncate 3 \"\"}", "hun"),
        ("#{Token | ToBase64 | Append x}", "aHVudGVyMg==x"),
        ("#{Token | SHA1 4}", "f3bbbd66"),
        ("#{Token | Contains x}", "false"),
        ("#{Plain | Append #{Token}}", "plainhunter2"),
        ("#{Plain | Replace #{Token | Truncate 1 \"\"} x}", "plain"),
        ("#{Plain | Replace plain #{if Plain}#{Token}#{/if}}", "hunter2"),
    ],
)  # fmt: skip
def test_what_a_filter_makes_of_a_secret_or_with_one_is_secret(text: str, result: str) -> None:
    inserted = insert(text, values("Token", Token="hunter2", Plain="plain"))
    assert inserted.text == result
    assert inserted.sensitive
    assert {result, "hunter2"} <= inserted.secrets


def test_a_value_that_is_built_from_a_filtered_secret_is_secret_as_a_whole() -> None:
    built = expand("Url", values("Token", Token="a b", Url="http://#{Token | UriDataEscape}@h"))
    assert built.secrets == {"a b", "a%20b", "http://a%20b@h"}


def test_the_items_of_a_secret_list_are_secrets() -> None:
    looped = insert("#{each t in Tokens}<#{t}>#{/each}", values("Tokens", Tokens="one,two"))
    assert (looped.text, looped.sensitive) == ("<one><two>", True)
    assert looped.secrets == {"one,two", "one", "two"}


def test_a_condition_on_a_secret_makes_nothing_secret() -> None:
    known = values("Token", Token="hunter2")
    assert insert('#{if Token == "x"}a#{else}b#{/if}', known) == Insertion("b")
    assert insert("#{if Token | Contains u}a#{/if}", known) == Insertion("a")


@pytest.mark.parametrize(
    "text",
    [
        "#{Token | VersionMajor}",
        "#{Plain | Truncate #{Token}}",
        "#{Plain | Match #{Token}}",
        "#{Port[#{Token}]}",
        "#{Built}",
        "#{each t in Json}#{t}#{/each}",
    ],
)
def test_an_error_shows_no_secret_that_came_into_it(text: str) -> None:
    known = values("Token", "Json", Token="(hun'ter2", Plain="x", Built="#{Port[#{Token}] | Trim}",
                   Json='["(hun\'ter2"]')  # fmt: skip
    with pytest.raises(RequestError) as caught:
        insert(text, known)
    assert "hun" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["ssw#{Plain | VersionMajor}", "#{Plain | Truncate #{Ssw}}", "#{ssw[#{Plain}]}"]
)
def test_an_error_shows_nothing_of_the_sensitive_value_in_which_it_happens(text: str) -> None:
    with pytest.raises(RequestError, match="variable Token") as caught:
        expand("Token", values("Token", Token=text, Plain="sswx'y", Ssw="ssw"))
    assert "ssw" not in str(caught.value).casefold()


# What goes wrong.


def test_a_filter_that_cannot_work_says_which_where_and_why() -> None:
    with pytest.raises(FilterFailed) as caught:
        expand("A", values(A="x#{B | FromBase64}", B="?"))
    assert str(caught.value) == (
        "variable A: the filter FromBase64 of #{B | FromBase64} cannot be applied: it is no Base64"
    )
    assert caught.value.exit_code == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_option_that_comes_from_a_variable_is_checked_with_its_value() -> None:
    assert insert("#{A | Truncate #{N} #{D}}", values(A="abcdef", N="2", D="!")).text == "ab!"
    with pytest.raises(FilterFailed, match="'two' is no whole number"):
        insert("#{A | Truncate #{N}}", values(A="abcdef", N="two"))


def test_values_that_double_each_other_are_stopped_before_they_fill_the_memory() -> None:
    known = {f"v{n}": Plain(f"v{n}", f"#{{v{n + 1}}}" * 2) for n in range(60)}
    with pytest.raises(TooMuch, match="variable v0: the values come to more than"):
        expand("v0", {**known, "v60": Plain("v60", "x" * 1000)})


def test_loops_in_loops_are_stopped_as_well() -> None:
    loops = "#{each x in L}" * 9
    with pytest.raises(TooMuch):
        insert(loops + "#{/each}" * 9, values(L="," * 99))


def test_values_too_deep_in_filters_are_a_fault_and_no_crash() -> None:
    nested = "#{{A | Append " * 20 + "{}" + "}}" * 20
    known = {f"v{n}": Plain(f"v{n}", nested.format(f"#{{v{n + 1}}}")) for n in range(90)}
    with pytest.raises((TooMuch, BadReference)):
        expand("v0", {**known, "a": Plain("A", "a"), "v90": Plain("v90", "x")})


def test_all_values_are_worked_out_at_once_and_those_that_cannot_be_are_left_out() -> None:
    doubling = {f"v{n}": Plain(f"v{n}", f"#{{v{n + 1}}}" * 2) for n in range(40)}
    known = values("Token", A="#{B}", B="#{Typo}", C="#{D}!", D="#{Token | Trim}", Token=" x ",
                   E="#{F}", F="#{E}", G="#{C}", H="#{")  # fmt: skip
    found = expand_all({**doubling, "v40": Plain("v40", "x" * 1000), **known})
    assert "v0" not in found, "it comes to more than there is memory"
    assert {name: found[name] for name in ("c", "d", "g", "token")} == {
        name: expand(name, known) for name in ("c", "d", "g", "token")
    }
    assert not {"a", "b", "e", "f", "h"} & found.keys()


def test_no_repr_shows_a_value() -> None:
    known = values("Token", Token="hunter2")
    assert "hunter2" not in repr(insert("#{Token | ToUpper}", known)) + repr(known)
    assert MASK not in repr(known)
