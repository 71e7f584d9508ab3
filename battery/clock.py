"""Wall clocks that go wrong by libfaketime; the monotonic clock stays right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

_SYSTEM = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime")


def library() -> Path | None:
    """The library: of the wheel ``libfaketime``, or of Debian's package of that name."""
    spec = find_spec("libfaketime")
    places = [Path(place) for place in _SYSTEM]
    if spec is not None and spec.origin is not None:
        places.insert(0, Path(spec.origin).parent / "vendor" / "libfaketime" / "src")
    files = (place / "libfaketime.so.1" for place in places)
    return next((file for file in files if file.exists()), None)


def skewed(offset: str | None) -> Mapping[str, str]:
    """What a process needs in its environment to be wrong by this (``+1h``); none: nothing."""
    found = library()
    if offset is None or found is None:
        return {}
    return {
        "LD_PRELOAD": ":".join(filter(None, (str(found), os.environ.get("LD_PRELOAD")))),
        "FAKETIME": offset,
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
