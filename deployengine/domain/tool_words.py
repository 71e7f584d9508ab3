"""Words: what may stand in a step that uses a tool, be it in a catalog or worked out later.

Each function returns what is wrong with a text, which it does not repeat, since it may be secret;
``None``: nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from deployengine.domain.errors import did_you_mean, nearest

Check = Callable[[str], str | None]

_STATUSES = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")
_NAME_OF_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SERVICE = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]*")
_TAG = re.compile(r"[^\s,-][^\s,]*")
#: What has a meaning of its own where Ansible is told which hosts are meant.
_PATTERN_SIGNS = re.compile(r"[\s,:&!~*?\[\]@]|^-")


def anything(text: str) -> str | None:
    """Every text is right."""
    del text
    return None


def url(text: str) -> str | None:
    """The address of something that speaks HTTP."""
    if not text.lower().startswith(("http://", "https://")):
        return "must begin with http:// or https://"
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        return "names no host, or a port that there is not"
    if not text.isprintable() or " " in text:
        return "holds a space or a character that can't be seen; write them as %20"
    return None


def statuses(text: str) -> str | None:
    """A status code of HTTP, or a range of them."""
    found = _STATUSES.fullmatch(text)
    if found is None or (found[2] and found[2] < found[1]):
        return "must be a status code or a range of them: 204 or 200-399"
    return None


def header_name(text: str) -> str | None:
    """The name of a header."""
    return None if _NAME_OF_HEADER.fullmatch(text) else "is no name of a header"


def header_value(text: str) -> str | None:
    """What stands in a header."""
    return "must be one line" if "\n" in text or "\r" in text else None


def sought(text: str) -> str | None:
    """A text to look for, or an expression between slashes."""
    if "\n" in text or "\r" in text:
        return "must be one line, as it is looked for line by line"
    return "has nothing between its slashes" if text == "//" else None


def unit(text: str) -> str | None:
    """The name of a unit of systemd."""
    return None if _UNIT.fullmatch(text) else "is no name of a unit"


def path(text: str) -> str | None:
    """The path of a file, for a command line."""
    if not text or text.startswith("-") or not text.isprintable():
        return "must be the path of a file"
    return None


def project(text: str) -> str | None:
    """The name of a Compose project."""
    if _PROJECT.fullmatch(text):
        return None
    return "must have small letters, digits, - and _, a letter or digit first"


def service(text: str) -> str | None:
    """The name of a service in a Compose file."""
    return None if _SERVICE.fullmatch(text) else "is no name of a service"


def variable(text: str) -> str | None:
    """The name of a variable of an environment, or of Ansible."""
    return None if _VARIABLE.fullmatch(text) else "must have letters, digits and _, no digit first"


def tag(text: str) -> str | None:
    """A tag of Ansible."""
    return None if _TAG.fullmatch(text) else "is no tag; list several one by one"


def limit(text: str) -> str | None:
    """A machine's name that means this one host to Ansible, and nothing else."""
    if _PATTERN_SIGNS.search(text):
        return "means more than one host to Ansible; give the machine a plain name"
    return None


def choice(words: Iterable[str]) -> Check:
    """One of these words."""
    words = tuple(words)

    def fault(text: str) -> str | None:
        if text in words:
            return None
        advice = did_you_mean(nearest(text, words))
        return f"must be {', '.join(words)}" + (f"; {advice}" if advice else "")

    return fault
