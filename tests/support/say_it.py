# ruff: noqa: T201
"""Prints every value that comes in, set apart by NUL, in all the encodings a script might use."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import sys
from urllib.parse import quote, quote_plus


def say(value: str) -> None:
    """Prints one value."""
    raw = value.encode()
    print(value)
    print("line by line:", *value.split("\n"), sep="\n> ")
    for before in range(3):
        for coded in (
            base64.b64encode(b"x" * before + raw + b"yy"),
            base64.urlsafe_b64encode(b"x" * before + raw),
        ):
            print("base64", coded.decode(), coded.decode().rstrip("="))
    print(base64.encodebytes(b"much before it " * 5 + raw + b" and after it" * 5).decode())
    print("hex", raw.hex(), raw.hex().upper())
    print("url", quote(value), quote(value, safe=""), quote_plus(value))
    print("url", re.sub("%..", lambda code: code.group().lower(), quote(value)))
    print("url", "".join(f"%{byte:02x}" for byte in raw))
    print("json", json.dumps({"v": value}), json.dumps(value, ensure_ascii=False))
    print("json", json.dumps(value).replace("/", "\\/"))
    print("python", repr(value), ascii(value), raw)
    print("html", html.escape(value))
    print("html", html.escape(value).encode("ascii", "xmlcharrefreplace").decode())
    print("shell", shlex.quote(value))
    sys.stdout.write(value[: len(value) // 2])
    sys.stdout.flush()
    sys.stdout.write(value[len(value) // 2 :] + "\n")


if __name__ == "__main__":
    for each in sys.stdin.read().split("\0")[:-1]:
        say(each)
