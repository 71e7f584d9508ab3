"""Programs that cannot run where the tests do, as far as recipes use them.

Each does what its documents say, and no more: an option that they do not name is an error, as it
is for the real one. What a call comes to stands in a file beside the program, which a test writes;
every call is noted there.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fake:
    """A fake that lies in a folder of programs."""

    story: Path
    calls_of: Path

    def tell(self, **story: Any) -> None:
        """What there is, and what happens."""
        self.story.write_text(json.dumps(story))

    def calls(self) -> list[str]:
        """The words of every call, in order, without the program's name where it has but one."""
        if not self.calls_of.exists():
            return []
        return self.calls_of.read_text().splitlines()


def put(name: str, folder: Path, *names: str) -> Fake:
    """Puts a fake into a folder of programs, under its own name or these."""
    fake = Fake(folder / f".{name}.json", folder / f".{name}.calls")
    for each in names or (name,):
        path = folder / each
        path.write_text(
            f"#!/bin/sh\nexec {sys.executable} -I -S {_HERE / name}.py {each} {fake.story} "
            f'{fake.calls_of} "$@"\n'
        )
        path.chmod(0o755)
    return fake
