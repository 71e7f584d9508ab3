"""Filters beyond the examples of docs/variables.md: edges, and values they cannot work on."""

from __future__ import annotations

import base64
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain import filters
from deployengine.domain.filters import BadOption, Unfit, apply, check

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def filtered(words: str, text: str) -> str:
    """A text changed by a filter and its options, which are set apart by single spaces."""
    name, *options = words.split(" ")
    return apply(name, [option.strip('"') for option in options], text)


@pytest.mark.parametrize(
    ("words", "text", "result"),
    [
        # Cutting and joining.
        ("Truncate 50", "Octopus Deploy", "Octopus Deploy"),
        ("Truncate 14 <|>", "Octopus Deploy", "Octopus Deploy"),
        ("Truncate 0", "abc", "..."),
        ("Substring 20", "Octopus Deploy", "Octopus Deploy"),
        ("Substring 14 5", "Octopus Deploy", ""),
        ("Substring 8 7", "Octopus Deploy", "Deploy"),
        ("Append value1 value2", "bar", "barvalue1value2"),
        ("Prepend value1 value2", "bar", "value1value2bar"),
        ("Indent", "", ""),
        ("Indent 2", "a\nb", "  a\n  b"),
        ("Indent 3/2", "a\nb\nc", "   a\n  b\n  c"),
        ("Indent //", "a\nb", "//a\n//b"),
        ("Indent 255", "a", " " * 255 + "a"),
        ("Indent 256", "a\nb", "256a\n256b"),
        ("Indent 255/256", "a\nb", "255/256a\n255/256b"),
        ("StartsWith ABC", "abc", "false"),
        # Regular expressions as .NET writes them.
        ("Replace a", "abca", "bc"),
        ("Replace abc def", "ABC", "ABC"),
        ("Replace ^a x", "ababa", "xbaba"),
        ("Replace a$ x", "ababa", "ababx"),
        ("Replace [a-z]+ 1", "a'b", "1'1"),
        ("Replace a\\(b d(e", "a(b", "d(e"),
        ("Replace (?<l>b)\\k<l> ${l}$1$&$$$2${none}", "abbc", "abbbb$$2${none}c"),
        ("Replace (a)|(b) [$1$2]", "ab", "[a][b]"),
        ("Replace a \\1\\n", "a", "\\1\\n"),
        ("Match [(?<x>]", "<", "true"),
        ("Match ABC", "abc def", "false"),
        # Escapes.
        ("HtmlEscape", "A&'bc", "A&amp;&apos;bc"),
        ("YamlSingleQuoteEscape", "a\r\nb", "a\r\n\r\nb"),
        ("YamlSingleQuoteEscape", "a\n\tb\n\tc", "a\n\n\tb\n\n\tc"),
        ("YamlDoubleQuoteEscape", "我\r\n\t", "\\u6211\\r\\n\\t"),
        ("PropertiesKeyEscape", " a \n b ", "\\ a\\ \\n\\ b\\ "),
        ("PropertiesValueEscape", " a \n b ", "\\ a \\n b "),
        ("PropertiesValueEscape", "÷ü我😀", "÷ü\\u6211\\ud83d\\ude00"),
        ("UriEscape", "ä?b=%&c~", "%C3%A4?b=%25&c~"),
        # Encodings.
        ("FromBase64 unicode", "QgBhAHoA", "Baz"),
        ("FromBase64", " QmFy\n", "Bar"),
        ("MD5 Unicode", "The quick brown fox jumps over the lazy dog",
         "b0986ae6ee1eefee8a4a399090126837"),
        ("MD5 base64", "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==",
         "9e107d9d372bb6826bd81d3542a419d6"),
        ("MD5 2 utf8", "The quick brown fox jumps over the lazy dog.", "e4d9"),
        ("MD5 utf-8 800", "The quick brown fox jumps over the lazy dog.",
         "e4d909c290d0fb1ca068ffaddf22cbd0"),
        # Addresses.
        ("UriPart AbsolutePath", "https://octopus.com/docs", "/docs"),
        ("UriPart absoluteuri", "HTTPS://Me:Pw@Octopus.com:443", "https://Me:Pw@octopus.com/"),
        ("UriPart Authority", "https://octopus.com:8443", "octopus.com:8443"),
        ("UriPart DnsSafeHost", "http://[::1]/", "::1"),
        ("UriPart Host", "http://[::1]/", "[::1]"),
        ("UriPart Fragment", "https://octopus.com/docs#filters", "#filters"),
        ("UriPart HostAndPort", "https://octopus.com/docs", "octopus.com:443"),
        ("UriPart HostNameType", "https://octopus.com/docs", "Dns"),
        ("UriPart HostNameType", "https://10.0.0.1/", "IPv4"),
        ("UriPart HostNameType", "file:///etc", "Basic"),
        ("UriPart IsAbsoluteUri", "/docs", "false"),
        ("UriPart IsDefaultPort", "https://octopus.com:443", "true"),
        ("UriPart IsFile", "file:///etc", "true"),
        ("UriPart IsLoopback", "http://127.0.0.1", "true"),
        ("UriPart IsLoopback", "http://octopus.com", "false"),
        ("UriPart IsUnc", "file://server/share", "true"),
        ("UriPart Path", "https://octopus.com/a%20b", "/a b"),
        ("UriPart PathAndQuery", "https://octopus.com/docs?filter=faq", "/docs?filter=faq"),
        ("UriPart Port", "https://octopus.com/docs", "443"),
        ("UriPart Port", "own://octopus.com/docs", "-1"),
        ("UriPart Query", "https://octopus.com/docs?filter=faq", "?filter=faq"),
        ("UriPart Scheme", "https://octopus.com", "https"),
        ("UriPart SchemeAndServer", "https://octopus.com/docs", "https://octopus.com"),
        ("UriPart UserInfo", "https://username:password@octopus.com", "username:password"),
        # Numbers.
        ("Format 0", "2.5", "3"),
        ("Format 0", "-2.5", "-3"),
        ("Format 000.0", "-7", "-007.0"),
        ("Format #.##", "0.5", ".5"),
        ("Format #,##0.0#", "1234567", "1,234,567.0"),
        ("Format $0.00", "4.3", "$4.30"),
        ("Format F0", "-0.4", "0"),
        ("Format F", "1,234.567", "1234.57"),
        ("Format N1", "1234567.25", "1,234,567.3"),
        ("Format Double N", "9999.999", "10,000.00"),
        ("Format Int x", "255", "ff"),
        ("Format D3", "-7", "-007"),
        # Dates.
        ("Format yyyy", "2030/05/22 09:05:00", "2030"),
        ("Format Date MMMM", "2030-05-22", "May"),
        ("Format DateTime dddd,ddd,d/M/yy", "2030-05-02", "Thursday,Thu,2/5/30"),
        ("Format hh:mm:sstt", "2030-05-22T21:05:09", "09:05:09PM"),
        ("Format h'h'm", "2030-05-22 00:05", "12h5"),
        ("Format H\\hmm.fff", "2030-05-22 03:05:00.1239", "3h05.123"),
        ("Format DateTimeOffset zzz", "2030-05-22T09:05:00-05:30", "-05:30"),
        ("Format DateTimeOffset zz", "2030-05-22T09:05:00Z", "+00"),
        ("Format O", "2030-05-22", "2030-05-22T00:00:00.0000000"),
        ("Format s", "2030-05-22T09:05:00Z", "2030-05-22T09:05:00"),
        ("AddHours 1.5", "2030-05-22 09:05:00", "2030-05-22T10:35:00.0000000"),
        ("AddHours -2", "2030-05-22 01:05:00", "2030-05-21T23:05:00.0000000"),
        ("AddDays 0.5", "2030-05-22T09:05:00.0000000Z", "2030-05-22T21:05:00.0000000+00:00"),
    ],
)  # fmt: skip
def test_a_filter_on_an_edge(words: str, text: str, result: str) -> None:
    assert filtered(words, text) == result


PARTS = ("Major", "Minor", "Patch", "Revision")
ENDS = ("PreRelease", "PreReleasePrefix", "PreReleaseCounter", "Metadata")


@pytest.mark.parametrize(
    ("version", "numbers", "pre", "metadata"),
    [
        ("1", "1 0 0 0", ("", "", ""), ""),
        ("1.2", "1 2 0 0", ("", "", ""), ""),
        ("1.2.3.4", "1 2 3 4", ("", "", ""), ""),
        ("v1.2.3.4-branch.1+meta", "1 2 3 4", ("branch.1", "branch", "1"), "meta"),
        ("V1.2.3-branch-x+me+ta", "1 2 3 0", ("branch-x", "branch", "x"), "me+ta"),
        ("V1.2.3.4-branch_x", "1 2 3 4", ("branch_x", "branch", "x"), ""),
        ("19.0.0.Final", "19 0 0 0", ("Final", "Final", ""), ""),
        ("2.0.0-debian_c_b", "2 0 0 0", ("debian_c_b", "debian", "c_b"), ""),
        (" 01.1 . 01", "1 1 1 0", ("", "", ""), ""),
        ("1.0a1-SNAPSHOT", "1 0 0 0", ("a1-SNAPSHOT", "a1", "SNAPSHOT"), ""),
        ("1.2.3----RC.12.9+788", "1 2 3 0", ("---RC.12.9", "", "--RC.12.9"), "788"),
        ("latest", "0 0 0 0", ("latest", "latest", ""), ""),
    ],
)
def test_a_version_is_taken_apart(
    version: str, numbers: str, pre: tuple[str, str, str], metadata: str
) -> None:
    assert [apply(f"Version{part}", [], version) for part in PARTS] == numbers.split()
    assert tuple(apply(f"Version{end}", [], version) for end in ENDS) == (*pre, metadata)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("Substring 20 5", "secret"),
        ("FromBase64", "secret!"),
        ("FromBase64", "/w=="),
        ("MD5 base64", "secret!"),
        ("UriPart Host", "/secret"),
        ("UriPart Host", "http://[secret"),
        ("UriPart Port", "http://secret:port"),
        ("VersionMajor", "1.2.3-sec'ret"),
        ("VersionMajor", ""),
        ("VersionMajor", "9" * 5000),
        ("Format yyyy", "secret"),
        ("Format 0.00", "secret"),
        ("Format Int D2", "secret"),
        ("Format D2", "2.5"),
        ("Format X", "-2"),
        ("Format 0.0", "9" * 5000),
        ("Format zzz", "2030-05-22"),
        ("AddDays 1", "secret"),
        ("AddDays 1", "9999-12-31"),
        ("AddDays 9999999", "2030-05-22"),
        ("UriEscape", "secret\ud800"),
        ("ToBase64 Unicode", "secret\ud800"),
        ("SHA1", "secret\ud800"),
    ],
)
def test_a_value_that_a_filter_cannot_work_on_is_told_without_showing_it(
    words: str, text: str
) -> None:
    with pytest.raises(Unfit) as caught:
        filtered(words, text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        *("Indent 1 2 3", "Format", "Format a b c", "Format Money C", "Format R", "Format P1"),
        *("Format Int yyyy", "Format Date 0,0%", "Format Date yyyyy", "Format Date d", "Format ''"),
        *("SHA1 0", "SHA1 1 2", "SHA1 Utf8 Unicode", "SHA1 Latin", "UriPart", "UriPart Wrong"),
        *("AddDays x", "AddDays", "AddHours 1 2", "Match [", "Match a b", "Replace (?<1a>x)"),
        *("Trim x", "Truncate -1", "Truncate 9999999999", "Substring 1 a", "ToLower x", "None"),
    ],
)
def test_options_that_a_filter_cannot_have_are_told_before_any_value_is_known(words: str) -> None:
    name, *options = words.split(" ")
    with pytest.raises((BadOption, filters.BadFilter)):
        check(name, [option.strip("'") for option in options])


def test_options_that_are_not_known_yet_are_only_counted() -> None:
    check("Truncate", [None])
    check("Truncate", ["x", None])
    with pytest.raises(filters.BadFilter):
        check("Truncate", [None, None, None])


def test_no_filter_bears_the_name_of_one_that_is_left_out() -> None:
    assert not filters.FILTERS.keys() & filters.LEFT_OUT.keys()


@given(TEXTS)
def test_what_is_escaped_is_read_back_as_it_was(text: str) -> None:
    assert json.loads(f'"{apply("JsonEscape", [], text)}"') == text
    assert yaml.safe_load(f'"{apply("YamlDoubleQuoteEscape", [], text)}"') == text
    assert base64.b64decode(apply("ToBase64", [], text)).decode() == text
    assert apply("FromBase64", [], apply("ToBase64", [], text)) == text


@given(st.text("ab'\"\\ :#", max_size=12), st.integers(0, 3))
def test_what_is_escaped_for_single_quotes_of_yaml_is_read_back(text: str, breaks: int) -> None:
    # YAML takes space around a line break away; nothing can keep it in single quotes.
    whole = f"x{text}y" + "\n" * breaks + f"x{text}y"
    assert yaml.safe_load(f"'{apply('YamlSingleQuoteEscape', [], whole)}'") == whole


@given(st.sampled_from(sorted(filters.FILTERS)), st.lists(TEXTS, max_size=2), TEXTS)
def test_any_filter_with_any_options_gives_a_text_or_says_why_not(
    name: str, options: list[str], text: str
) -> None:
    try:
        result = apply(name, options, text)
    except (filters.BadFilter, BadOption, Unfit):
        return
    assert isinstance(result, str)
