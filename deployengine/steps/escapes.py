"""How programs write single characters when they quote or encode a text.

Programs differ in which characters they encode, so each kind comes in the ways that are in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html.entities import codepoint2name
from itertools import product
from string import ascii_letters, digits

from deployengine.steps.ticket import encode

Write = Callable[[str], str]


class Escape(dict[int, str]):
    """A way to write characters, for ``str.translate``; remembers what it has worked out."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write
        self._written = frozenset(c for c in map(chr, range(128)) if write(c) != c)

    def changes(self, text: str) -> bool:
        """Whether it may write the text otherwise; quicker than to try."""
        return not (text.isascii() and self._written.isdisjoint(text))

    def __missing__(self, code: int) -> str:
        self[code] = written = self._write(chr(code))
        return written


def _kept(character: str) -> str:
    return character


# ---- percent-encoding ----

_UNRESERVED = ascii_letters + digits + "-._"

#: What stays as it is, and what becomes of a space.
_PERCENT = (
    ("", "%20"),
    *product((_UNRESERVED, _UNRESERVED + "~", _UNRESERVED + "*"), ("%20", "+")),
    (_UNRESERVED + "~/", "%20"),  # Python's quote
    (_UNRESERVED + "~!'()*", "%20"),  # encodeURIComponent
    (_UNRESERVED + "~!'()*;,/?:@&=+$#", "%20"),  # encodeURI
    (_UNRESERVED + "~$&+=:@", "%20"),  # a part of a path, in Go
    (_UNRESERVED + "!()*", "+"),  # .NET
)


def _percent(safe: str, space: str, digit: str) -> Write:
    def write(character: str) -> str:
        if character in safe:
            return character
        if character == " ":
            return space
        return "".join("%" + digit % byte for byte in encode(character))

    return write


# ---- JSON, and strings as in C ----

_CONTROLS = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}

#: What JSON need not encode and some do: Go, PowerShell, PHP, Gson, .NET.
_CODED = ("", "<>&", "<>&'", "<>&'\"", "<>&'=", "<>&'\"+`")


def _json(coded: str, last: str, slash: str, digit: str) -> Write:
    named = {**_CONTROLS, '"': '\\"', "/": slash}

    def write(character: str) -> str:
        if character in coded or character > last:
            return _utf16(character, digit)
        if character in named:
            return named[character]
        return character if character >= " " else _utf16(character, digit)

    return write


def _utf16(character: str, digit: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(digit % int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))


def _c_like(quotes: str, beyond: Write) -> Write:
    """As ``repr`` of Python and ``$'…'`` of shells."""

    def write(character: str) -> str:
        if character in quotes:
            return "\\" + character
        if character in _CONTROLS:
            return _CONTROLS[character]
        return character if " " <= character <= "~" else beyond(character)

    return write


def _in_hex(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in encode(character))


def _in_octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in encode(character))


def _as_code(character: str) -> str:
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def _as_code_upper(character: str) -> str:  # as YAML does
    code = _as_code(character)
    return code[:2] + code[2:].upper()


def _if_unprintable(character: str) -> str:
    return character if character.isprintable() else _as_code(character)


# ---- backslashes of shells ----

#: Within double quotes; and everywhere, as ``printf %q`` of bash does.
_BACKSLASHED = (
    '"\\$`',
    '"\\$`!',
    " \t!\"#$&'()*,;<>?[\\]^`{|}~",
    " \t!\"$&'()*,;<>?[\\]^`{|}",
)


def _backslashed(special: str) -> Write:
    return lambda character: "\\" + character if character in special else character


def _all_backslashed(character: str) -> str:
    return character if character.isalnum() or character in "_-./" else "\\" + character


def _doubled(mark: str) -> Write:
    """A quote within such quotes in SQL, YAML and CSV."""
    return lambda character: character * 2 if character == mark else character


# ---- HTML and XML ----

#: How the two kinds of quotes come out.
_QUOTES = (
    ('"', "'"),
    *product(["&quot;"], ["'", "&#39;", "&#039;", "&#x27;", "&apos;"]),
    ("&#34;", "&#39;"),
)


def _html(quotes: tuple[str, str], greater: str, beyond: Write) -> Write:
    entities = {"&": "&amp;", "<": "&lt;", ">": greater, '"': quotes[0], "'": quotes[1]}

    def write(character: str) -> str:
        return entities.get(character) or (character if character <= "~" else beyond(character))

    return write


def _decimal(character: str) -> str:
    return f"&#{ord(character)};"


def _hexadecimal(character: str) -> str:
    return f"&#x{ord(character):x};"


def _hexadecimal_upper(character: str) -> str:
    return f"&#x{ord(character):X};"


def _named(character: str) -> str:
    name = codepoint2name.get(ord(character))
    return f"&{name};" if name else _decimal(character)


def _writes() -> Iterator[Write]:
    for (safe, space), digit in product(_PERCENT, ("%02X", "%02x")):
        yield _percent(safe, space, digit)
    for coded, last, slash, digit in product(
        _CODED, ("\U0010ffff", "~"), ("/", "\\/"), ("\\u%04x", "\\u%04X")
    ):
        yield _json(coded, last, slash, digit)
    for quotes, beyond in product(
        ("", "'", '"', "'\""),
        (_kept, _in_hex, _in_octal, _as_code, _as_code_upper, _if_unprintable),
    ):
        yield _c_like(quotes, beyond)
    yield from map(_backslashed, _BACKSLASHED)
    yield _all_backslashed
    yield from map(_doubled, "'\"")
    for pair, greater, beyond in product(
        _QUOTES, ("&gt;", ">"), (_kept, _decimal, _hexadecimal, _hexadecimal_upper, _named)
    ):
        yield _html(pair, greater, beyond)


ESCAPES = tuple(map(Escape, _writes()))
