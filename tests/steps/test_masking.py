from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from deployengine.steps.masking import MASK, Masker

#: Few letters, so that secrets overlap, repeat, and begin inside each other.
SECRETS = st.lists(st.text("ab\nc", max_size=6), max_size=4)
Case = tuple[list[str], list[bytes]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Secrets, and a text that is made of them and of other bytes, cut anywhere."""
    secrets = draw(SECRETS)
    words = st.sampled_from([*secrets, ""]) | st.text("ab\ncd", max_size=4)
    text = "".join(draw(st.lists(words, max_size=8))).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return secrets, [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]


def pieces(secrets: list[str]) -> set[bytes]:
    lines = {line for secret in secrets for line in [secret, *secret.split("\n")]}
    return {line.encode() for line in lines if len(line) >= 3}


def masked(text: bytes, secrets: list[str], until: int | None = None) -> bytes:
    """The plain reading of the promise: each stretch of overlapping secrets is one mask.

    With ``until``, only as far as that byte, a secret across it being masked whole.
    """
    until = len(text) if until is None else until
    found = sorted(
        (start, start + len(secret))
        for secret in pieces(secrets)
        for start in range(until)
        if text.startswith(secret, start)
    )
    out, end = b"", 0
    for start, stop in found:
        if start >= end:
            out += text[end:start] + MASK
        end = max(end, stop)
    return out + text[end:until]


def beginning(text: bytes, secrets: list[str]) -> int:
    """Where the longest end piece of the text begins that is the beginning of a secret."""
    return next(
        at
        for at in range(len(text) + 1)
        if at == len(text)
        or any(s.startswith(text[at:]) and s != text[at:] for s in pieces(secrets))
    )


@given(cases())
@example((["abc", "abcd"], [b"abcd"]))
@example((["abab"], [b"ab", b"ab", b"ab"]))
@example((["abc", "bcab", "abcaba"], [b"a", b"bca", b"b"]))
def test_however_the_text_is_cut_it_is_masked_as_one(case: Case) -> None:
    secrets, chunks = case
    masker = Masker(secrets)
    out = b"".join([*map(masker.feed, chunks), masker.flush()])
    assert out == masked(b"".join(chunks), secrets)
    assert not any(secret in out for secret in pieces(secrets))


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
    assert masker.feed(b"ing") == b"hunting"


def test_what_is_held_at_the_end_comes_out() -> None:
    masker = Masker(["hunter2"])
    assert masker.feed(b"hunt") == b""
    assert masker.flush() == b"hunt"
    assert masker.flush() == b""


def test_every_line_of_a_key_is_masked_whatever_ends_the_lines() -> None:
    masker = Masker(["BEGIN\nsecret-line\nEND\n"])
    assert masker.feed(b"> secret-line\r\n") + masker.flush() == b"> ********\r\n"


def test_secrets_too_short_to_hide_stay_and_without_any_the_chunk_itself_comes_back() -> None:
    chunk = b"on 42"
    assert Masker(["on", "42", ""]).feed(chunk) is chunk


def test_secrets_are_taken_literally_and_in_utf8() -> None:
    masker = Masker(["a.c*", "schlüssel"])
    assert masker.feed("abcc a.c* schlüssel ".encode()) == b"abcc ******** ******** "
