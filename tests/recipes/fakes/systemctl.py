"""``systemctl`` and ``journalctl`` of systemd 252, as systemctl(1) and journalctl(1) describe them.

The story: ``units`` has for each unit its ``states``, which ``show`` tells one after the other and
then the last one again, each as ``[ActiveState, InvocationID]``; ``code`` with which what is done
with the unit ends, unless it is ``stuck``; ``lines`` of its journal. A unit that is not there is
not found.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

_PLAIN = {"--system", "--user", "--no-ask-password", "--no-pager", "--full"}
_WITH_VALUE = ("--property=", "--lines=", "--unit=", "--user-unit=")
_ACTIONS = ("restart", "reload", "reload-or-restart", "start", "stop", "enable", "disable")


def say(line: str, to: TextIO = sys.stdout) -> None:
    to.write(f"{line}\n")


def main(name: str, story: str, calls: str, *words: str) -> int:
    with Path(calls).open("a") as file:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        said = f" (XDG_RUNTIME_DIR={runtime})" if "--user" in words and runtime else ""
        file.write(f"{name} {' '.join(words)}{said}\n")
    there = json.loads(Path(story).read_text())["units"]
    options, rest = [], []
    for word in words:
        known = word in _PLAIN or word.startswith(_WITH_VALUE)
        if word.startswith("-") and word != "--" and not rest[1:] and not known:
            say(f"{name}: unrecognized option '{word}'", sys.stderr)
            return 1
        (options if word.startswith("--") and word != "--" else rest).append(word)
    if name == "journalctl":
        return _journal(options, there)
    command, *units = [word for word in rest if word != "--"]
    if command == "daemon-reload":
        return 0
    if command == "show":
        return _show(Path(story), units[0], options)
    if command == "status":
        return _status(units[0], there)
    assert command in _ACTIONS, command
    for unit in units:
        if unit not in there:
            verb = command if command in ("restart", "reload") else "act on"
            say(f"Failed to {verb} {unit}: Unit {unit} not found.", sys.stderr)
            return 5
    if any(there[unit].get("stuck") for unit in units):
        signal.pause()  # as long as the job of a unit does, which may be for ever
    return max(there[unit].get("code", 0) for unit in units)


def _journal(options: list[str], there: dict[str, dict[str, object]]) -> int:
    (unit,) = (o.partition("=")[2] for o in options if "unit=" in o)
    lines = there.get(unit, {}).get("lines") or ["-- No entries --"]
    say("\n".join(lines))  # type: ignore[arg-type]
    return 0


def _show(story: Path, unit: str, options: list[str]) -> int:
    whole = json.loads(story.read_text())
    states = whole["units"].get(unit, {}).get("states") or [["inactive", ""]]
    state, life = states[0]
    if len(states) > 1:
        whole["units"][unit]["states"] = states[1:]
        story.write_text(json.dumps(whole))
    wanted = [option.partition("=")[2] for option in options if option.startswith("--property=")]
    for key, value in (("ActiveState", state), ("InvocationID", life)):
        if key in wanted:
            say(f"{key}={value}")
    return 0


def _status(unit: str, there: dict[str, dict[str, object]]) -> int:
    if unit not in there:
        say(f"Unit {unit} could not be found.", sys.stderr)
        return 4
    state = there[unit]["states"][0][0]  # type: ignore[index]
    say(f"● {unit} - Of the test\n     Active: {state}")
    return 0 if state == "active" else 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
