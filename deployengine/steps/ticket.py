"""What stands in a ticket's folder: the same on every machine, however it is reached.

script, variables   written by the starter before the wrapper starts
state               made exclusively by the wrapper that runs the script (or by who cancels first):
                    the ticket's name, its fence, its grace and what it holds, its process
output, exit        the wrapper's; exit is whole or absent
room                the wrapper's, before exit; empty when the disk was full then
outputs             what ``set_output`` appended: name NUL value NUL
cancelled           there, when somebody is ending or ended the process group
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, unquote

from deployengine.steps.contract import GRACE, Lock

#: Recorded for a run that was cancelled before its script began: 128 + TERM.
CANCELLED_BEFORE_START = 143
#: For a run whose wrapper had to be killed, too: 128 + KILL.
KILLED = 137

_EXIT = re.compile(rb" *(\d{1,3})\n")
_ENCODING = ("utf-8", "surrogateescape")
_MODES = {"exclusive": True, "shared": False}


@dataclass(frozen=True, slots=True)
class Leader:
    """The wrapper's process, which leads its group. The rest tells it from a later namesake."""

    pid: int
    #: In clock ticks since boot.
    started: int
    boot: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The record that a run began. Without a leader it never did, or the record is damaged."""

    ticket: str
    fence: int
    leader: Leader | None
    #: What it holds on its machine, and gets between TERM and KILL.
    holds: tuple[Lock, ...] = ()
    grace: timedelta = GRACE
    #: Cancelled before its script could begin: it never will.
    cancelled: bool = False
    #: What is wrong with the record; nothing else in it counts then.
    damage: str = ""


def encode(text: str) -> bytes:
    """The bytes of a text as they go into a file, and as a process gets them."""
    return text.encode(*_ENCODING)


def interpreter(script: str) -> tuple[str, ...]:
    """The words that read the script: those of its ``#!`` line as the kernel cuts it, or sh.

    The script file itself is never executed: that would fail now and then in a process with many
    threads ("text file busy"), and always on a disk mounted noexec.
    """
    first, _, _ = script.partition("\n")
    words = tuple(first[2:].split(None, 1)) if first.startswith("#!") else ()
    return tuple(word.strip() for word in words) or ("/bin/sh",)


def render_variables(variables: Mapping[str, str]) -> str:
    """A shell ``case`` over ``$name``: ``get_variable`` needs no program beside the shell."""
    lines = ["case $name in"]
    for name, value in variables.items():
        lines.append(f"{_any_case(name.strip())}) found=yes value={shell_word(value)} ;;")
    return "\n".join([*lines, "esac", ""])


def _any_case(name: str) -> str:
    letters = (
        f"[{c.upper()}{c.lower()}]" if c.isascii() and c.isalpha() else shell_word(c) for c in name
    )
    return "".join(letters) or "''"


def shell_word(text: str) -> str:
    """One word for any shell, quoted."""
    return "'" + text.replace("'", "'\\''") + "'"


def quoted(resource: str) -> str:
    """A resource's name as one word that is safe in a file's name and on a command line."""
    return quote(resource, safe="", errors="surrogateescape")


def render_holds(grace: timedelta, locks: Iterable[Lock]) -> str:
    """What a ticket holds, in the one line of its record."""
    words = (f"{_mode(lock)}:{quoted(lock.resource)}" for lock in locks)
    return " ".join((f"{grace.total_seconds():g}", *words))


def _mode(lock: Lock) -> str:
    return "exclusive" if lock.exclusive else "shared"


def _lock(word: str) -> Lock:
    mode, _, resource = word.partition(":")
    return Lock(unquote(resource, errors="surrogateescape"), _MODES[mode])


def cancelled_before_start(name: str) -> bytes:
    """The state file of a run that must never begin."""
    return f"ticket {name}\ncancelled\nend\n".encode()


def parse_state(content: bytes) -> Begun | None:
    """The record, or ``None`` as long as it is not whole."""
    try:
        name, *lines, end, rest = content.decode().split("\n")
        if (end, rest) != ("end", ""):
            return None
        (name,) = _after("ticket", name)
        if lines == ["cancelled"]:
            return Begun(name, 0, None, cancelled=True)
        fence, holds, boot, stat = lines
        # The process name stands in brackets and may hold anything; the start time is field 22.
        pid, fields = stat.split()[1], stat.rpartition(")")[2].split()
        grace, *locks = _after("holds", holds)
        return Begun(
            name,
            int(_after("fence", fence)[0]),
            Leader(int(pid), int(fields[19]), _after("boot", boot)[0]),
            tuple(map(_lock, locks)),
            timedelta(seconds=float(grace)),
        )
    except (ValueError, LookupError, OverflowError):
        return None


def _after(label: str, line: str) -> list[str]:
    first, *words = line.split()
    if first != label:
        raise ValueError(f"{line!r} does not begin with {label}")
    return words


def parse_exit(content: bytes) -> int | None:
    """The exit status, or ``None`` for anything that the wrapper would not have written."""
    match = _EXIT.fullmatch(content)
    code = int(match[1]) if match else 256
    return code if code <= 255 else None


def parse_outputs(content: bytes) -> dict[str, str]:
    """The stored outputs; a record cut short by a full disk is left out."""
    parts = content.decode("utf-8", "replace").split("\0")
    return dict(zip(parts[:-1:2], parts[1:-1:2], strict=False))
