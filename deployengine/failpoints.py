"""Failpoints: a name for every door, so that a test can kill, stop or fail a process right there.

Off, they cost a call of a function that does nothing. They are on only in a process whose
environment asks for it when it starts:

``DEPLOYENGINE_FAILPOINTS``
    ``NAME=ACTION[@N]``, several with commas. At its N-th passing (the first without N) the process
    is killed (``kill``), stopped as by SIGSTOP (``stop``), or the door fails as if the other side
    could not be reached (``fail``). The name ``any`` counts the passings of all points together.
``DEPLOYENGINE_FAILPOINTS_TRACE``
    A file to which every point that is passed, and every branch that is taken, adds its name.
``DEPLOYENGINE_MUTATIONS``
    Names of protections to leave out, several with commas. For the battery alone, which must then
    find the harm that the protection prevents.

A *door* is where something leaves the process or comes into it: it has a point before and one
after. A *branch* is a rare case that only a fault leads to; it is counted, nothing happens there.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployengine.domain.errors import Unreachable

VARIABLE = "DEPLOYENGINE_FAILPOINTS"
TRACE_VARIABLE = "DEPLOYENGINE_FAILPOINTS_TRACE"
MUTATIONS_VARIABLE = "DEPLOYENGINE_MUTATIONS"
ANY = "any"

#: Every door. ``sql`` are commits by the transaction's name, ``lua`` calls of a script, ``publish``
#: messages, the rest is a ticket's way on its machine.
DOORS = (
    *("sql.answer", "sql.apply", "sql.batch", "sql.beat", "sql.begin", "sql.block"),
    "sql.cancel",
    *("sql.cancel-batch", "sql.claim", "sql.deploy", "sql.due", "sql.end"),
    *("sql.finish", "sql.leave", "sql.lost", "sql.open", "sql.output", "sql.put-back"),
    *("sql.rebuild", "sql.recall", "sql.recur", "sql.release", "sql.reorder", "sql.reseal"),
    *("sql.retain", "sql.take-over"),
    *("sql.aside", "sql.catch-up", "sql.health", "sql.machine"),
    *("lua.advance", "lua.exchange", "lua.hold", "lua.release", "lua.submit"),
    *("lua.rebuild-begin", "lua.rebuild-finish"),
    *("publish.cancel", "publish.chain", "publish.parked", "publish.runs"),
    *("ticket.start", "ticket.output", "ticket.revoke", "ticket.clean"),
    *("ticket.state", "ticket.exit"),
)
#: Those of them that a ticket's wrapper passes, a process of its own: it is what is killed there.
WRAPPER_DOORS = ("ticket.state", "ticket.exit")
POINTS = tuple(f"{door}.{side}" for door in DOORS for side in ("before", "after"))
_WRAPPER_POINTS = tuple(f"{door}.{side}" for door in WRAPPER_DOORS for side in ("before", "after"))

#: Every branch that a battery must have seen taken.
BRANCHES: Mapping[str, str] = {
    "branch.attach": "a running script was picked up from a worker that was lost",
    "branch.claim-conflict": "the database refused a grant, as something clashed or came first",
    "branch.duplicate": "a message came for a run that somebody has already",
    "branch.lost": "a worker was declared lost",
    "branch.machine-held": "a start had to wait for an older script on the machine",
    "branch.not-first": "a start found that its script had begun already",
    "branch.put-back": "a run whose script had never begun was given to the next free slot",
    "branch.rebuild": "the locks were loaded from the database",
    "branch.revoked": "the machine refused a start whose run has gone to another worker",
    "branch.self-fenced": "a worker that had been silent for too long started nothing",
    "branch.stale-fence": "the machine refused a start with a fence older than the newest there",
    "branch.taken-over": "a worker found that its run has gone to another one",
    "branch.unknown": "a script had begun and was gone without an end",
}

#: Every protection that can be left out, and what it protects from.
MUTATIONS: Mapping[str, str] = {
    "calendar": "what waits for a time waits for ever",
    "chains-resumed": "a deployment whose next link was lost stands still for ever",
    "claim-conflict": "a run that Redis let in too early starts before those ahead of it",
    "gone-freed": "the claims of a run that ended are held for ever if its hand-off was lost",
    "grants-sent-again": "a granted run whose message was lost waits for ever",
    "machine-lock": "two clashing scripts meet on a machine when the engine lets both start",
    "masking": "what a script prints of a secret can be read by everybody",
    "missing-entered": "a run that never reached Redis waits for ever",
    "outlast": "the end of a run is lost when the database is away",
    "output-owner": "a worker that woke writes into the output that another one goes on with",
    "output-resumed": "who picks a run up stores lines again that are stored already",
    "pick-up": "what a lost worker was running never ends",
    "put-back": "a run that its worker had only claimed fails when the worker is lost",
    "rebuild": "a Redis that lost everything is taken for one that holds nothing",
    "recalled": "a message of a grant that was taken back starts its run before who is urgent",
    "revoked": "a start that comes late begins a run that another worker has carried out",
    "self-fence": "a worker that was stopped begins a run that it does not have any more",
    "stale-fence": "a start that comes late runs after the script that was granted after it",
    "start-once": "a script that began is begun again by whoever starts its ticket again",
    "tidy": "tickets of runs that ended stay on their machines",
    "unknown": "a script that is gone without an end counts as a success",
    "window": "more machines of a group are under way at once than its window allows",
}


class _Off(Exception):
    """The specification cannot be read."""


@dataclass(frozen=True, slots=True)
class _Trap:
    action: str
    passing: int


class _Armed:
    """Counts passings, springs traps and keeps the trace; one for the process."""

    def __init__(self, traps: Mapping[str, _Trap], trace: str | None) -> None:
        self._traps = traps
        self._trace = trace
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def pass_by(self, name: str) -> None:
        if name not in POINTS and name not in BRANCHES:
            raise AssertionError(f"failpoint {name} is not declared in deployengine.failpoints")
        with self._lock:
            counted = (name, ANY) if name in POINTS else (name,)
            self._passed.update(counted)
            sprung = [
                t for n in counted if (t := self._traps.get(n)) and t.passing == self._passed[n]
            ]
            # Written before the trap springs, at once: the process may not live to do it later.
            self._write(name, *(f"{trap.action} {name}" for trap in sprung))
        for trap in sprung:
            _spring(trap.action, name)

    def hand_on(self) -> str:
        """What a wrapper gets. Each passing is counted here, since a wrapper lives for one only."""
        with self._lock:
            self._passed.update(_WRAPPER_POINTS)
            words = [
                # There is nobody whom a wrapper could tell that it failed: it is killed for it.
                f"{'stop' if trap.action == 'stop' else 'kill'}:{name}"
                for name in _WRAPPER_POINTS
                if (trap := self._traps.get(name)) and trap.passing == self._passed[name]
            ]
        return " ".join([*words, f"trace:{os.path.abspath(self._trace or os.devnull)}"])  # noqa: PTH100

    def _write(self, *lines: str) -> None:
        if self._trace is None:
            return
        descriptor = os.open(self._trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
        finally:
            os.close(descriptor)


def _spring(action: str, name: str) -> None:
    if action == "fail":
        raise Unreachable("the other side", name, "a failpoint was asked for")
    os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def _traps(text: str) -> dict[str, _Trap]:
    traps = {}
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition("=")
        action, _, passing = rest.partition("@")
        known = name in POINTS or name == ANY
        if not known or action not in ("kill", "stop", "fail") or not (passing or "1").isdigit():
            raise _Off(f"{VARIABLE}: {part!r} is no NAME=kill|stop|fail[@N] of a known point")
        traps[name] = _Trap(action, int(passing or 1))
    return traps


def _nothing(_name: str) -> None:
    """What every point does when none was asked for."""


def _arm(environ: Mapping[str, str]) -> _Armed | None:
    traps, trace = _traps(environ.get(VARIABLE, "")), environ.get(TRACE_VARIABLE)
    return _Armed(traps, trace) if traps or trace else None


def _removed(environ: Mapping[str, str]) -> frozenset[str]:
    names = frozenset(filter(None, environ.get(MUTATIONS_VARIABLE, "").split(",")))
    if unknown := names - MUTATIONS.keys():
        raise _Off(f"{MUTATIONS_VARIABLE}: there is no protection {', '.join(sorted(unknown))}")
    return names


#: Passes a point or branch by its name.
hit: Callable[[str], None] = _armed.pass_by if (_armed := _arm(os.environ)) else _nothing
_left_out = _removed(os.environ)


def left_out(protection: str) -> bool:
    """Whether the battery wants this process to do without a protection."""
    return protection in _left_out


def handed_on() -> str:
    """What a wrapper needs to pass its own doors, see ``steps/wrapper.sh``; empty when off.

    ``any`` does not count them: a wrapper passes them when it likes.
    """
    return _armed.hand_on() if _armed else ""
