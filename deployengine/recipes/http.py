"""The recipe of ``http`` steps; ``http.sh`` says which commands ask."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from deployengine.domain import tool_words as words
from deployengine.domain.filling import BadValue, Filling
from deployengine.domain.tools import METHODS, HttpCheck
from deployengine.recipes.shell import arguments, assign, hundredths

PROGRAM = "http.sh"

_SENDS = ("POST", "PUT", "PATCH")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r", "\v": "\\v"}


def lines(check: HttpCheck, fill: Filling) -> Iterator[str]:
    """What is asked, and which answer is wanted."""
    url = fill.text("url", check.url, words.url)
    headers = {
        name: fill.text(f"header {name}", said, words.header_value)
        for name, said in check.headers.items()
    }
    body = fill.text("body", check.body)
    secret = fill.sensitive  # so far: what follows stands on no command line of any tool
    method = fill.word("method", check.method, words.choice(METHODS))
    sought = fill.text("contains", check.contains, words.sought)
    pattern = len(sought) > 1 and sought[0] == sought[-1] == "/"
    insecure = fill.flag("insecure_tls", check.insecure_tls)
    yield assign("url", url)
    yield assign("method", method)
    yield assign("body", body)
    yield assign("secret", secret)
    yield assign("insecure", insecure)
    yield assign("config", "\n".join(_config(url, method, headers, body, insecure=insecure)))
    yield assign("expect", " ".join(_statuses(check, fill)))
    yield assign("sought", sought[1:-1] if pattern else sought)
    yield assign("sought_as", "-E" if pattern else "-F")
    yield assign("within", hundredths(fill.seconds("healthy_within", check.healthy_within)))
    yield assign("every", hundredths(fill.seconds("every", check.every)))
    yield assign("patience", hundredths(fill.seconds("answer_within", check.answer_within)))
    yield assign("successes", fill.count("successes", check.successes))
    options = () if secret else (f"--header={n}: {value}" for n, value in headers.items())
    yield arguments(options)


def _statuses(check: HttpCheck, fill: Filling) -> list[str]:
    said = " ".join(fill.text("expect", each) for each in check.expect)
    found = [each for each in re.split(r"[\s,]+", said) if each]
    for each in found:
        if why := words.statuses(each):
            raise BadValue("expect", why)
    if not found:
        raise BadValue("expect", "comes to nothing")
    return found


def _config(
    url: str, method: str, headers: Mapping[str, str], body: str, *, insecure: bool
) -> Iterator[str]:
    """What curl reads on its standard input."""
    yield f"url = {_quoted(url)}"
    yield "globoff"
    yield 'proto = "=http,https"'
    if method == "HEAD":
        yield "head"
    elif body or method in _SENDS:
        yield f"data-raw = {_quoted(body)}"
        yield f"request = {_quoted(method)}"
    elif method != "GET":
        yield f"request = {_quoted(method)}"
    for name, value in headers.items():
        yield f"header = {_quoted(f'{name}: {value}' if value.strip() else f'{name};')}"
    if insecure:
        yield "insecure"


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(each, each) for each in text) + '"'
