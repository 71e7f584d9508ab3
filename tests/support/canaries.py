"""Canaries: secrets that can be told apart, and a search for every trace of them in any bytes.

The search shares nothing with the masker. It does not look for encodings of what it knows: it takes
whatever it is given apart (base64, hexadecimal, percent, entities, escapes, quotes, wrapped lines),
and looks for pieces of secrets in what comes out.
"""

from __future__ import annotations

import base64
import binascii
import html
import random
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

#: Letters that are rare, so that runs of them stand in hardly anything else.
_LETTERS = "qxzjvwkQXZJVWK"
#: So much of a secret in one piece is a trace of it.
TRACE = 8

#: What stands around and between the letters of a secret, in turn.
_KINDS = (
    "{0}{1}",
    "{0} {1}",
    "{0}'{1}'",
    '"{0}" \\{1}/',
    "{0}$(id)`{1}",
    "{0}&<{1}>;",
    "{0}%41+{1}%",
    "{0}äöü☃{1}€",
    '{{"{0}": ["{1}\\n"]}}',
    "{0}\n{1}",
    "-----BEGIN KEY-----\n{0}{1}{0}{1}{0}{1}{0}{1}\n  {1}{0}\n-----END KEY-----\n",
    "\t{0}!#~^{1} ",
    "user:{0}@host/{1}?a=b&c=d",
    "{0}=={1}*?[x]",
)


def canaries(many: int, seed: int = 1) -> list[str]:
    """So many secrets of all kinds; no piece of :data:`TRACE` letters stands in two of them."""
    dice = random.Random(seed)
    words: set[str] = set()
    while len(words) < 2 * many:
        words.add("".join(dice.choices(_LETTERS, k=12)))
    pairs = iter(sorted(words))
    return [_KINDS[n % len(_KINDS)].format(next(pairs), next(pairs)) for n in range(many)]


class Search:
    """Finds traces of secrets in bytes, however they are encoded."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._owners: dict[bytes, str] = {}
        for secret in secrets:
            for run in _RUNS.findall(secret.encode()):
                for at in range(len(run) - TRACE + 1):
                    self._owners[run[at : at + TRACE]] = secret

    def traces(self, found: bytes) -> set[str]:
        """The secrets of which the bytes hold a trace."""
        return {
            owner
            for view in _views(found)
            for run in _RUNS.findall(view)
            for at in range(len(run) - TRACE + 1)
            if (owner := self._owners.get(run[at : at + TRACE]))
        }


_RUNS = re.compile(b"[%s]{%d,}" % (_LETTERS.encode(), TRACE))


def _views(found: bytes) -> Iterator[bytes]:
    """The bytes as they are, and what stands in them if they are taken for an encoding."""
    yield found
    unescaped = re.sub(rb"\\u00(..)", rb"\\x\1", found)
    unescaped = re.sub(rb"\\x([0-9a-fA-F]{2})", _byte(16), unescaped)
    yield re.sub(rb"\\([0-7]{3})", _byte(8), unescaped)
    yield re.sub(rb"[\\'\"$]", b"", found)
    for plain in {found, re.sub(rb"\\[nrt]|[\s\\]", b"", found)}:
        if b"%" in plain:
            yield unquote_to_bytes(plain)
        if b"&#" in plain:
            yield html.unescape(plain.decode("utf-8", "replace")).encode()
        yield b" ".join(_from_hexadecimal(plain))
        yield b" ".join(_from_base64(plain))


def _byte(base: int) -> object:
    return lambda code: bytes([int(code[1], base) & 255])


def _from_hexadecimal(text: bytes) -> Iterator[bytes]:
    for run in re.findall(rb"[0-9a-fA-F]{16,}", text):
        for start in (0, 1):
            digits = run[start:]
            yield binascii.unhexlify(digits[: len(digits) // 2 * 2])


def _from_base64(text: bytes) -> Iterator[bytes]:
    for run in re.findall(rb"[A-Za-z0-9+/_-]{12,}", text):
        plain = run.replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4):
            digits = plain[start:]
            yield base64.b64decode(digits[: len(digits) // 4 * 4])
