"""What may stand in ``#{…}``, and how it is told when something else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.insertion import BadReference, Plain, insert, references
from deployengine.domain.template_parser import parse

VALUES = {name.casefold(): Plain(name, text) for name, text in [("Name", "shop"), ("Yes", "1")]}


@pytest.mark.parametrize(
    "text",
    [
        "#{Name|ToUpper}",
        "#{  Name  |  ToUpper  }",
        "#{name|TOUPPER}",
        "#{Name | ToLower|toupper}",
        "#{ if Yes }#{Name | ToUpper}#{ /if }",
        "#{IF Yes}#{Name | ToUpper}#{ELSE}#{/IF}",
        '#{if Yes=="1"}#{Name | ToUpper}#{/if}',
        '#{if  "1"  !=  Name | Trim  }#{Name | ToUpper}#{/if}',
        '#{if Name | Append "==" == "shop=="}#{Name | ToUpper}#{/if}',
        '#{if \\"1\\" == Yes}#{Name | ToUpper}#{/if}',
        "#{Name | ToUpper | Replace #{Yes} x}",
        '#{Name | ToUpper | Replace "}" "{"}',
        '#{Name | ToUpper | Replace \\""\\" x}',
        "#{if Yes}#{if Name}#{unless No}#{Name | ToUpper}#{/unless}#{/if}#{/if}",
        "#{Name | Append #{if No}x#{/if} | ToUpper}",
    ],
)
def test_space_and_case_do_not_count_and_blocks_may_stand_in_one_another(text: str) -> None:
    assert insert(text, VALUES).text == "SHOP"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#{Name | ToUper}", "there is none of that name; did you mean 'ToUpper'?"),
        ("#{Name | rwa}", "did you mean 'raw'?"),
        ("#{Name | Zzzzzzzz}", "docs/variables.md lists those that there are"),
        ("#{Name | NowDate}", "call date in the script"),
        ("#{ | NowDate}", "call date in the script"),
        ("#{Name | Markdown}", "does not render Markdown"),
        ("#{Name | }", "names no filter behind |"),
        ("#{Name | raw 1}", "gives an option to raw, which takes none"),
        ("#{Name | ToUpper x}", "it cannot have 1 options; write ToUpper"),
        ("#{Name | Truncate}", "it cannot have 0 options; write Truncate LENGTH [SUFFIX]"),
        ("#{Name | Append}", "it cannot have 0 options; write Append TEXT…"),
        ("#{Name | Truncate x}", "'x' is no whole number"),
        ("#{Name | Truncate -1}", "'-1' is no whole number"),
        ("#{Name | Trim Both}", "'Both' is neither Start nor End"),
        ('#{Name | Match "(a"}', "'(a' is no regular expression"),
        ("#{Name | UriPart Hots}", "there is no part 'Hots'; did you mean 'Host'?"),
        ("#{Name | Format C}", "'C' is written in another way in each country"),
        ("#{Name | ToBase64 Latin}", "'Latin' is neither Utf8 nor Unicode"),
        ("#{Name | SHA1 0}", "one size above 0"),
        (
            "#{Name | Append 'a b'}",
            'a quote that begins no text; texts stand in "…" behind a filter',
        ),
        ('#{Name Append "a"}', 'a quote that begins no text; texts stand in "…" behind a filter'),
        ('#{Name | Append "a#{Yes}"}', "has a #{ within quotes; write it without the quotes"),
        ('#{Name == "x"}', "compares, which only #{if …} and #{unless …} can"),
        ("#{if Yes}", "#{if Yes} has no end; write #{/if} where it ends"),
        ("#{if Yes}#{each a in Name}#{/each}", "#{if Yes} has no end"),
        ("#{unless Yes}#{else}", "write #{/unless} where it ends"),
        ("#{each a in Name}", "write #{/each} where it ends"),
        ("#{if Yes}#{/unless}", "#{/unless} stands where #{/if} is due"),
        ("#{each a in Name}#{else}#{/each}", "#{else} stands where #{/each} is due"),
        ("#{if Yes}#{each a in Name}#{/if}#{/each}", "#{/if} stands where #{/each} is due"),
        ("#{unless Yes}#{elseif No}#{/unless}", "#{elseif No} stands where #{/unless} is due"),
        ("#{if Yes}#{else}#{else}#{/if}", "#{else} stands behind #{else}"),
        ("#{if Yes}#{else}#{elseif No}#{/if}", "#{elseif No} stands behind #{else}"),
        ("#{/if}", "#{/if} stands where nothing is open"),
        ("#{else}", "#{else} stands where nothing is open"),
        ("#{if }#{/if}", "names no variable"),
        ("#{if Yes == }#{/if}", "names no variable"),
        ("#{if Yes = 1}#{/if}#{Name", "not closed"),
        ("#{each Name}#{/each}", "is no loop; write #{each item in Name}"),
        ("#{calc 1 + 1}", "calculates, which is left to scripts here"),
        ("#{Name[#{Yes}}", "has a bracket that is not closed"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line_and_what_to_write(text: str, said: str) -> None:
    for read in (parse, references):
        with pytest.raises(BadReference) as caught:
            read(f"one\n{text}")
        assert said in str(caught.value)
        assert caught.value.where == "line 2"
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "#{if ssw}",
        "#{each ssw in}#{/each}",
        "#{ssw | Trim wrd}",
        '#{x | Match "(ssw"}',
        "#{/if}ssw",
        "#{calc ssw}",
        "#{x == ssw}",
    ],
)
def test_a_hidden_text_is_not_shown_by_its_errors(text: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse(text, hidden=True)
    assert not any(part in str(caught.value) for part in ("ssw", "wrd"))


@pytest.mark.parametrize("opening", ["#{if A}", "#{Name | Append ", "#{A[", "#{each a in B}"])
def test_what_stands_too_deep_in_one_another_is_a_fault_and_no_crash(opening: str) -> None:
    with pytest.raises(BadReference, match="within more than"):
        parse(opening * 5000)


def test_a_thousand_branches_stand_side_by_side() -> None:
    branches = "".join(f'#{{elseif Yes == "{n}"}}{n}' for n in range(1000))
    assert insert(f"#{{if No}}{branches}#{{else}}none#{{/if}}", VALUES).text == "1"


@given(st.text('#{}|"\\/ \n`=![]AifelsachTrimn', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except BadReference:
        assert "#{" in text


@given(st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda text: "#{" not in text))
def test_a_text_without_a_reference_stays_as_it_is(text: str) -> None:
    assert insert(text, {}).text == text
    assert insert(f"{text} ##{{Name}}", {}).text == f"{text} #{{Name}}"
