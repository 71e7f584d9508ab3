"""Encodings: whatever a program makes of a secret when it encodes it, nothing of it stays readable.

The encoders here are those of the standard library and of the shells.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import os
import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode
from xml.sax.saxutils import escape, quoteattr

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployengine.steps.encodings import SHORTEST, forms
from deployengine.steps.masking import MASK, Masker

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=3, max_size=30) | st.text(
    "ab \"'\\/<>&+%$äß☃😀=`!", min_size=3, max_size=12
)
TEXTS = TEXTS.filter(lambda text: len(text.strip()) >= SHORTEST)
LINES = st.lists(TEXTS, min_size=2, max_size=3).map("\n".join)

AWKWARD = "pa'ss\"w\\o/r<d>&+ 50%ä☃😀"

Encode = Callable[[str], str]


def lower(encoded: str) -> str:
    return re.sub(r"%..", lambda code: code.group().lower(), encoded)


def as_csv(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow([text])
    return out.getvalue().strip()


def as_sql(text: str) -> str:
    found: str = sqlite3.connect(":memory:").execute("SELECT quote(?)", [text]).fetchone()[0]
    return found


def like_go(text: str) -> str:
    coded = json.dumps(text, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        coded = coded.replace(character, f"\\u{ord(character):04x}")
    return coded


def like_dotnet(text: str) -> str:
    coded = (f"\\u{ord(c):04X}" if c in "<>&'+`\"" else json.dumps(c)[1:-1] for c in text)
    return re.sub(r"\\u(....)", lambda code: f"\\u{code[1].upper()}", "".join(coded))


ENCODERS: dict[str, Encode] = {
    "as it is": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, lower case": lambda text: lower(quote(text, safe="")),
    "percent of a path": quote,
    "percent of a form": quote_plus,
    "percent of a query": lambda text: urlencode({"": text}).removeprefix("="),
    "encodeURIComponent": lambda text: quote(text, safe="!'()*"),
    "encodeURI": lambda text: quote(text, safe="!'()*;,/?:@&=+$#"),
    "percent throughout": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "JSON": json.dumps,
    "JSON in Unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON of Go": like_go,
    "JSON of .NET": like_dotnet,
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode())[1:],
    "HTML": html.escape,
    "HTML without quotes": lambda text: html.escape(text, quote=False),
    "HTML in ASCII": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "XML": escape,
    "an attribute of XML": quoteattr,
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, upper case": lambda text: text.encode().hex().upper(),
    "shlex": shlex.quote,
    "SQL": as_sql,
    "CSV": as_csv,
}


def printed(secret: str, text: str) -> str:
    """What is printed when a script prints the text."""
    masker = Masker([secret])
    return (masker.feed(text.encode()) + masker.feed(b"\n") + masker.flush()).decode()[:-1]


def is_hidden(out: str) -> bool:
    """Whether there is a mask, and beside it quotes only."""
    return MASK.decode() in out and not out.replace(MASK.decode(), "").strip("'\"\\$")


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS.keys())
@settings(max_examples=40)
@given(secret=TEXTS)
@example(AWKWARD)
def test_nothing_of_a_secret_is_left_when_it_is_encoded(encode: Encode, secret: str) -> None:
    assert is_hidden(printed(secret, encode(secret)))


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS.keys())
@settings(max_examples=20)
@given(secret=LINES)
def test_each_line_of_a_secret_is_one(encode: Encode, secret: str) -> None:
    for line in secret.split("\n"):
        assert is_hidden(printed(secret, encode(line)))


@pytest.mark.parametrize("style", ["'", '"'])
def test_nothing_of_a_secret_is_left_in_yaml(style: str) -> None:
    dumped = yaml.safe_dump(AWKWARD, default_style=style, width=1000, allow_unicode=style == "'")
    assert is_hidden(printed(AWKWARD, dumped.strip()))


@given(st.binary(max_size=7), TEXTS, st.binary(max_size=7), st.booleans())
def test_in_base64_no_digit_that_tells_of_the_secret_is_left_wherever_in_a_text_it_stands(
    before: bytes, secret: str, after: bytes, for_urls: bool
) -> None:
    encode = base64.urlsafe_b64encode if for_urls else base64.b64encode
    whole = encode(before + secret.encode() + after).decode()
    first = len(before) * 8 // 6
    last = (len(before + secret.encode()) * 8 - 1) // 6
    for text in (whole, whole.rstrip("=")):
        head, *_, tail = printed(secret, text).split(MASK.decode())
        # Another secret digit by chance may make the mask wider, never narrower.
        assert len(head) <= first
        assert len(tail) <= len(text) - last - 1
        assert (whole.startswith(head), text.endswith(tail)) == (True, True)


@pytest.mark.parametrize(("slash", "plus"), [("%2F", "%2B"), ("%2f", "%2b"), ("\\/", "+")])
def test_base64_within_a_url_or_json_is_known(slash: str, plus: str) -> None:
    secret = "\xff\xfe>>>???~~~"
    whole = base64.b64encode(secret.encode()).decode().rstrip("=")
    assert "/" in whole
    assert "+" in whole
    assert is_hidden(printed(secret, whole.replace("/", slash).replace("+", plus)))


# ---- shells ----

NASTY = (
    *("plain123", "it's", "'quoted'", "a''b", "'''", 'say "no"', "$HOME `id`", "back\\slash\\"),
    *("semi;colon & (more) | <less>", "tab\there", "#hash #hash", "~tilde ~tilde", "a,b,{c,d}"),
    *("schlüssel", "☃😀", "50% off!", "[x] *?", "^caret^", "--option=value", "two\nlines"),
    *("it's\ntwo 'lines'", " space around ", "a=b:c@d", "'", 'it\'s $5 \\ "ok"\tä'),
)
SHELLS = {
    "trace of sh": ("sh", 'set -x; : "$S"'),
    "trace of bash": ("bash", 'set -x; : "$S"'),
    "trace of an assignment": ("bash", "set -x; x=$S"),
    "export -p of sh": ("sh", "export S; export -p | sed -n '/^export S=/,$p'"),
    "declare -p": ("bash", "declare -p S"),
    "set": ("bash", "set | sed -n '/^S=/,/^SHELL/p'"),
    "printf %q": ("bash", 'printf "%q\\n" "$S"'),
    "@Q": ("bash", 'echo "${S@Q}"'),
    "echo": ("sh", 'echo "$S"'),
    "printf": ("sh", 'printf "%s\\n" "$S"'),
    "base64": ("sh", 'printf "%s" "$S" | base64'),
    "od": ("sh", 'printf "%s" "$S" | od -An -v -tx1 | tr -d " \\n"'),
}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(("shell", "script"), SHELLS.values(), ids=SHELLS.keys())
@pytest.mark.parametrize("secret", [s for s in NASTY if len(s) >= SHORTEST])
def test_nothing_of_a_secret_is_left_when_a_shell_prints_it(
    shell: str, script: str, secret: str, locale: str
) -> None:
    environment = {"PATH": os.defpath, "S": secret, "LC_ALL": locale}
    done = subprocess.run([shell, "-c", script], env=environment, capture_output=True, check=True)
    out = printed(secret, (done.stdout + done.stderr).decode())
    letters = set(re.findall(r"\w{3,}", out)) - {"export", "declare", "SHELL", "bin", "bash"}
    assert not letters
    assert MASK.decode() in out


# ---- what is no form ----


def test_a_secret_that_is_too_short_has_no_form() -> None:
    assert not forms(["", "a", "ab", "\n", "ä", "    ", "\n  }\n"])


def test_a_form_is_never_shorter_than_the_shortest_secret() -> None:
    assert min(len(form.text) for form in forms(["abc", "a\nb\nc", "'''"])) >= SHORTEST


def test_ordinary_text_is_left_as_it_is() -> None:
    text = "installing app-001 1.4.0 on prod-03 … 50% done; see https://example.org/?a=b&c=d\n"
    assert printed("correct horse battery staple", text) == text
