"""Filters for Base64 and digests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from deployengine.domain.filters.contract import BadOption, Change, Filter, Unfit, whole_number

_ENCODINGS = {"utf8": "utf-8", "utf-8": "utf-8", "unicode": "utf-16-le"}


def _encoding(option: str) -> str:
    if option.casefold() not in _ENCODINGS:
        raise BadOption(f"{option!r} is neither Utf8 nor Unicode")
    return _ENCODINGS[option.casefold()]


def _to_base64(encoding: str = "utf8") -> Change:
    name = _encoding(encoding)
    return lambda text: base64.b64encode(text.encode(name)).decode()


def _from_base64(encoding: str = "utf8") -> Change:
    name = _encoding(encoding)

    def decode(text: str) -> str:
        try:
            return _bytes_of(text).decode(name)
        except UnicodeDecodeError:
            raise Unfit(f"the bytes that it stands for are no text in {name}") from None

    return decode


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise Unfit("it is no Base64") from None


def _digest(algorithm: str) -> Callable[..., Change]:
    """A digest in hexadecimal; the options are the text's form and how many bytes to show."""

    def prepare(*options: str) -> Change:
        forms = [option for option in options if not option.isdigit()]
        sizes = [whole_number(option) for option in options if option.isdigit()]
        if len(forms) > 1 or len(sizes) > 1 or 0 in sizes:
            raise BadOption("it takes one form (Utf8, Unicode, Base64) and one size above 0")
        to_bytes = _form(forms[0] if forms else "utf8")
        size = sizes[0] if sizes else None
        return lambda text: hashlib.new(algorithm, to_bytes(text)).digest()[:size].hex()

    return prepare


def _form(option: str) -> Callable[[str], bytes]:
    if option.casefold() == "base64":
        return _bytes_of
    if option.casefold() not in _ENCODINGS:
        raise BadOption(f"{option!r} is none of Utf8, Unicode and Base64")
    name = _ENCODINGS[option.casefold()]
    return lambda text: text.encode(name)


FILTERS = (
    Filter("ToBase64", "[Utf8|Unicode]", _to_base64),
    Filter("FromBase64", "[Utf8|Unicode]", _from_base64),
    Filter("MD5", "[FORM] [BYTES]", _digest("md5")),
    Filter("SHA1", "[FORM] [BYTES]", _digest("sha1")),
    Filter("SHA256", "[FORM] [BYTES]", _digest("sha256")),
    Filter("SHA384", "[FORM] [BYTES]", _digest("sha384")),
    Filter("SHA512", "[FORM] [BYTES]", _digest("sha512")),
)
