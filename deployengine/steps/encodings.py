"""The forms in which a secret turns up in what scripts print.

Known are: the secret as it is, as ``echo`` prints it, and each of its lines; and all of these in
base64, hexadecimal and percent-encoding, with the escapes of JSON and of C-like strings, quoted for
shells, with doubled quotes, and with HTML entities. A form is one encoding deep: base64 of base64
is not among them, nor whatever else a script may make of a secret (it could print it backwards).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from string import ascii_letters, digits
from typing import NamedTuple

from deployengine.steps.escapes import ESCAPES
from deployengine.steps.ticket import encode

#: In bytes, without space around. Shorter ones would blot out ordinary text, and be told by that.
SHORTEST = 3

#: The digits of both kinds of base64; those of hexadecimal are among them.
DIGITS = (ascii_letters + digits + "+/-_").encode()

#: How the last two of them are written: plainly, for URLs, and plainly within a URL or JSON.
_LAST_DIGITS = ((b"+", b"/"), (b"-", b"_"), (b"%2B", b"%2F"), (b"%2b", b"%2f"), (b"+", b"\\/"))


class Form(NamedTuple):
    """Bytes to look for. With ``lead`` the base64 digit before them tells of the secret, too."""

    text: bytes
    lead: bool = False


def forms(secrets: Iterable[str]) -> set[Form]:
    """Every form of every secret; those shorter than :data:`SHORTEST` bytes are left out."""
    found: set[Form] = set()
    for piece in {piece for secret in secrets for piece in _pieces(secret)}:
        raw = encode(piece)
        escaped = {piece.translate(escape) for escape in ESCAPES if escape.changes(piece)}
        texts = {*map(encode, escaped | set(_single_quoted(piece))), *_hexadecimal(raw), raw}
        found |= set(map(Form, texts)) | set(_base64(raw))
    return {form for form in found if len(form.text) >= SHORTEST}


def _pieces(secret: str) -> Iterator[str]:
    """The whole and its lines, also without the space around them, as ``read`` leaves them."""
    for whole in {secret, _echoed(secret)}:
        for piece in (whole, *re.split(r"[\r\n]+", whole)):
            if len(encode(piece.strip())) >= SHORTEST:
                yield piece
                yield piece.strip()


_ECHO = re.compile(rb"\\(?:0([0-7]{0,3})|([abefnrtv\\]))")
_ECHOED = dict(zip(b"abefnrtv\\", b"\a\b\x1b\f\n\r\t\v\\", strict=True))


def _echoed(text: str) -> str:
    """As ``echo`` of many shells prints it: backslashes are escapes to it, ``\\c`` is the end."""

    def meant(code: re.Match[bytes]) -> bytes:
        return bytes([_ECHOED[code[2][0]] if code[2] else int(code[1] or b"0", 8) & 255])

    echoed = _ECHO.sub(meant, encode(text).partition(b"\\c")[0])
    return echoed.decode("utf-8", "surrogateescape")


def _single_quoted(text: str) -> Iterator[str]:
    """As shells write a quote within single quotes, themselves and in their traces (``set -x``).

    Of the quotes that this opens and closes, the outermost are no part of the form.
    """
    if "'" not in text:
        return
    for quote in ("'\\''", "'\"'\"'"):
        inner = text.replace("'", quote)
        yield inner[text.startswith("'") : len(inner) - text.endswith("'")]
    inner = re.sub("'+", lambda run: f"'\"{run.group()}\"'", text)
    yield inner[text.startswith("'") : len(inner) - text.endswith("'")]


def _hexadecimal(piece: bytes) -> Iterator[bytes]:
    digits = piece.hex()
    yield digits.encode()
    yield digits.upper().encode()


def _base64(piece: bytes) -> Iterator[Form]:
    """What stands in the base64 of any bytes that the piece is a part of.

    The piece may begin at any of the three bytes of a group. A digit that it shares with what
    comes after it is one of few: each is tried. The one shared with what is before is the ``lead``.
    """
    for before in range(3):
        bits = 8 * (before + len(piece))
        first, stop = -(-8 * before // 6), -(-bits // 6)
        unknown = -bits % 6
        for after in range(1 << unknown):
            whole = base64.b64encode(bytes(before) + piece + bytes([after << (8 - unknown) & 255]))
            text = whole[first:stop]
            for plus, slash in _LAST_DIGITS if b"+" in text or b"/" in text else _LAST_DIGITS[:1]:
                yield Form(text.replace(b"+", plus).replace(b"/", slash), lead=before > 0)
