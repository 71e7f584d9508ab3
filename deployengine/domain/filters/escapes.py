"""Filters that make a text fit into a document of another kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import quote

from deployengine.domain.filters.contract import Change, Filter

_XML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_HTML = {**_XML, "/": "&#x2F;"}
_LINES = {"\\": "\\\\", "\r": "\\r", "\n": "\\n", "\t": "\\t"}
_YAML = {**_LINES, '"': '\\"'}
_KEY = {**_LINES, " ": "\\ ", ":": "\\:", "=": "\\="}

#: What an address may hold beside letters and digits, such as have a meaning in it.
_RESERVED = ":/?#[]@!$&'()*+,;="


def _by_table(table: dict[str, str]) -> Change:
    return lambda text: "".join(table.get(char, char) for char in text)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _yaml_single(text: str) -> str:
    """YAML folds lines: it reads one break as a space, two as one, and so on."""
    doubled = re.sub(r"(?:\r?\n)+", lambda breaks: _first_break(breaks[0]) + breaks[0], text)
    return doubled.replace("'", "''")


def _first_break(breaks: str) -> str:
    return "\r\n" if breaks.startswith("\r") else "\n"


def _yaml_double(text: str) -> str:
    return "".join(_YAML.get(c) or (c if " " <= c <= "~" else _yaml_code(c)) for c in text)


def _yaml_code(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _properties(table: dict[str, str]) -> Change:
    """Java reads such files as Latin-1, and other characters as UTF-16 in hexadecimal."""
    return lambda text: "".join(
        table.get(c) or (c if ord(c) < 0xFF else _utf16_codes(c)) for c in text
    )


def _utf16_codes(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _properties_value(text: str) -> str:
    escaped = _properties(_LINES)(text)
    return f"\\{escaped}" if text.startswith(" ") else escaped


def _uri(text: str) -> str:
    return quote(text, safe=_RESERVED)


def _uri_data(text: str) -> str:
    return quote(text, safe="")


def _always(change: Change) -> Callable[[], Change]:
    return lambda: change


FILTERS = (
    Filter("HtmlEscape", "", _always(_by_table(_HTML))),
    Filter("XmlEscape", "", _always(_by_table(_XML))),
    Filter("JsonEscape", "", _always(_json)),
    Filter("YamlSingleQuoteEscape", "", _always(_yaml_single)),
    Filter("YamlDoubleQuoteEscape", "", _always(_yaml_double)),
    Filter("PropertiesKeyEscape", "", _always(_properties(_KEY))),
    Filter("PropertiesValueEscape", "", _always(_properties_value)),
    Filter("UriEscape", "", _always(_uri)),
    Filter("UriDataEscape", "", _always(_uri_data)),
)
