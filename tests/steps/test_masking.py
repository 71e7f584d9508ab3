"""Masking: what of a stream is masked, when it is given out, and what happens when it cannot be."""

from __future__ import annotations

import base64
import logging
import re
import string
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployengine.steps.encodings import forms
from deployengine.steps.masking import MASK, Masker

#: Few letters, so that secrets overlap, repeat, and begin inside each other.
SECRETS = st.lists(st.text("ab\nc'", max_size=6), max_size=4)
DIGITS = (string.ascii_letters + string.digits + "+/-_").encode()

Case = tuple[list[str], list[bytes]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Secrets, and a text that is made of forms of them and of other bytes, cut anywhere."""
    secrets = draw(SECRETS)
    known = sorted(form.text for form in forms(secrets))
    words = st.sampled_from([*known, b""]) | st.text("ab\ncd'Y=", max_size=4).map(str.encode)
    text = b"".join(draw(st.lists(words, max_size=8)))
    return secrets, cut(draw, text)


def cut(draw: st.DrawFn, text: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[a:b] for a, b in pairwise([0, *places, len(text)])]


def given_out(secrets: list[str], chunks: list[bytes]) -> bytes:
    masker = Masker(secrets)
    return b"".join([*map(masker.feed, chunks), masker.flush()])


def with_lead(text: bytes, start: int) -> int:
    """One byte earlier where that is a digit of base64, which tells of what comes after it."""
    return start - 1 if start and text[start - 1] in DIGITS else start


def masked(text: bytes, secrets: list[str], until: int | None = None) -> bytes:
    """The plain reading of the promise: each stretch of overlapping forms is one mask.

    With ``until``, only as far as that byte, a form across it being masked whole.
    """
    until = len(text) if until is None else until
    found = sorted(
        (with_lead(text, at) if form.lead else at, at + len(form.text))
        for form in forms(secrets)
        for at in range(len(text))
        if text.startswith(form.text, at)
    )
    out, end = b"", 0
    for start, stop in found:
        if start < until:
            if start >= end:
                out += text[end:start] + MASK
            end = max(end, stop)
    return out + text[end:until]


def beginning(text: bytes, secrets: list[str]) -> int:
    """Where the longest end piece of the text begins that is the beginning of a form."""
    texts = {form.text for form in forms(secrets)}
    ends = (text[at:] for at in range(len(text)))
    begun = (end for end in ends if any(t.startswith(end) and t != end for t in texts))
    first = len(text) - len(next(begun, b""))
    return with_lead(text, first) if texts else first


@given(cases())
@example((["abc", "abcd"], [b"abcd"]))
@example((["abab"], [b"ab", b"ab", b"ab"]))
@example((["abc", "bcab", "abcaba"], [b"a", b"bca", b"b"]))
def test_however_the_text_is_cut_it_is_masked_as_one(case: Case) -> None:
    secrets, chunks = case
    out = given_out(secrets, chunks)
    assert out == masked(b"".join(chunks), secrets)
    assert not any(form.text in out for form in forms(secrets))


@given(cases())
def test_only_what_may_begin_a_secret_is_held_back(case: Case) -> None:
    secrets, chunks = case
    masker = Masker(secrets)
    text = out = b""
    for chunk in chunks:
        text += chunk
        out += masker.feed(chunk)
        assert out == masked(text, secrets, beginning(text, secrets))


def test_a_secret_cut_in_two_is_never_given_out_in_part() -> None:
    masker = Masker(["hunter2"])
    assert masker.feed(b"pass: hun") == b"pass: "
    assert masker.feed(b"ter2!") == b"********!"
    assert masker.feed(b"hunt") == b""
    assert masker.feed(b"ing\n") == b"hunting\n"


def test_what_is_held_at_the_end_comes_out() -> None:
    masker = Masker(["hunter2"])
    assert masker.feed(b"hunt") == b""
    assert masker.flush() == b"hunt"
    assert masker.flush() == b""


def test_every_line_of_a_key_is_masked_whatever_ends_the_lines() -> None:
    assert given_out(["BEGIN\nsecret-line\nEND\n"], [b"> secret-line\r\n"]) == b"> ********\r\n"


def test_secrets_too_short_to_hide_stay_and_without_any_the_chunk_itself_comes_back() -> None:
    chunk = b"on 42"
    assert Masker(["on", "42", ""]).feed(chunk) is chunk


def test_secrets_are_taken_literally_and_in_utf8() -> None:
    text = "abcc a.c* schlüssel ".encode()
    assert given_out(["a.c*", "schlüssel"], [text]) == b"abcc ******** ******** "


# ---- long lines that were wrapped ----


@st.composite
def wrapped(draw: st.DrawFn) -> tuple[str, list[bytes], bytes]:
    """A secret, base64 of a text around it in lines of some width, cut anywhere; and unwrapped."""
    secret = draw(st.text("abcxyz /?~", max_size=120)) + "end"
    before, after = draw(st.binary(max_size=90)), draw(st.binary(max_size=90))
    width = draw(st.integers(40, 80))
    ending = draw(st.sampled_from([b"\n", b"\r\n", b"\n    ", b"\r\n\t"]))
    whole = base64.b64encode(before + secret.encode() + after)
    lines = ending.join(whole[at : at + width] for at in range(0, len(whole), width))
    return secret, cut(draw, b"data: " + lines + b"\n"), b"data: " + whole + b"\n"


@given(wrapped())
def test_where_long_lines_are_wrapped_makes_no_difference(
    case: tuple[str, list[bytes], bytes],
) -> None:
    secret, chunks, whole = case
    out = given_out([secret], chunks)
    assert re.sub(rb"\s", b"", out) == re.sub(rb"\s", b"", given_out([secret], [whole]))
    assert MASK in out


def test_a_break_after_a_short_line_parts_what_stands_on_both_sides() -> None:
    assert given_out(["abcdef"], [b"abc\ndef\n"]) == b"abc\ndef\n"


def test_a_line_is_given_out_whole_when_its_end_has_come() -> None:
    assert Masker(["hunter2", "sesame"]).feed(b"all is well\n") == b"all is well\n"


# ---- how it fails ----


class Broken(str):
    """A secret that there is no room for."""

    def __hash__(self) -> int:
        raise MemoryError(f"no room for {self}")


def test_when_the_masker_cannot_be_made_nothing_is_passed_through_and_one_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    masker = Masker(["hunter2", Broken("sesame")])
    out = masker.feed(b"hunter2 sesame") + masker.feed(b"hunter2") + masker.flush()
    said = "the output is withheld from here on: it could not be masked (MemoryError)"
    assert out.decode().strip("\n… ") == said
    assert "MemoryError" in caplog.text
    assert "sesame" not in caplog.text


def test_when_masking_fails_halfway_what_comes_after_is_withheld() -> None:
    masker = Masker(["hunter2"])
    first = masker.feed(b"begun: hunt")
    out = masker.feed(["er2"]) + masker.feed(b"hunter2") + masker.flush()  # type: ignore[arg-type]
    assert first == b"begun: "
    assert b"hunt" not in out
    assert out.count(b"withheld") == 1


def test_a_failure_is_logged_without_a_traceback_which_might_show_the_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Masker([Broken("sesame")])
    assert [(r.levelno, r.exc_info) for r in caplog.records] == [(logging.ERROR, None)]
