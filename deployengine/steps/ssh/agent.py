"""The machine's half of a ticket as text: what is sent along, and how it is called."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from deployengine.steps import ticket
from deployengine.steps.ticket import shell_word as quoted

#: The first line of every answer; what a login prints of its own comes before it.
GREETING = b"\ndeployengine:agent\n"

_STEPS = Path(__file__).parents[1]
_FILES = {
    "agent.sh": _STEPS / "ssh" / "agent.sh",
    "wrapper.sh": _STEPS / "wrapper.sh",
    "tools/get_variable": _STEPS / "tools" / "get_variable",
    "tools/set_output": _STEPS / "tools" / "set_output",
}
_END = "DEPLOYENGINE_END"
#: Days after which the agent of another version is removed, if nobody has logged in for it since:
#: scripts that it began find their tools there.
_UNUSED_DAYS = 30


@cache
def digest() -> str:
    """What tells this agent from those of other versions."""
    content = b"\0".join(path.read_bytes() for path in _FILES.values())
    return sha256(content).hexdigest()[:16]


def folder(tickets: str) -> str:
    """Where the agent lies on a machine."""
    return f"{tickets}/.agent-{digest()}"


@cache
def _archive() -> str:
    """A shell text that writes the files into the folder ``$de_new``."""
    parts = [
        f"cat > \"$de_new/{name}\" <<'{_END}' || de_full=yes\n{path.read_text('utf-8')}{_END}\n"
        for name, path in _FILES.items()
    ]
    return "".join(parts) + 'chmod 700 "$de_new"/tools/*\n'


def installation(workdir: str, tickets: str, shell: str, *, anew: bool = False) -> str:
    """What ``sh -s`` reads to put the agent there, unless it is, and to look the machine over.

    The folder appears whole or not at all. ``anew``: what is there of it is damaged.
    """
    there = quoted(folder(tickets))
    return f"""{{
printf '\\ndeployengine:agent\\n' >&2
de_umask=$(umask)
umask 077
de_there={there} de_new={there}.$$ de_tickets={quoted(tickets)} de_full=
{'rm -rf "$de_there"' if anew else ":"}
if [ ! -d "$de_there" ]; then
  de_said=$(mkdir -p "$de_tickets" "$de_new/tools" 2>&1) || {{
    echo "de:fault folder $de_tickets $de_said" >&2
    exit 3
  }}
{_archive()}  if [ -n "$de_full" ]; then
    echo "de:fault full $de_tickets" >&2
    rm -rf "$de_new"
    exit 3
  fi
  [ -d "$de_there" ] || mv "$de_new" "$de_there"
  rm -rf "$de_new"
  find "$de_tickets"/.agent-* -prune -mtime +{_UNUSED_DAYS} -exec rm -rf {{}} + 2> /dev/null
fi
touch "$de_there" 2> /dev/null
umask "$de_umask"
exec {shell} "$de_there/agent.sh" check {quoted(workdir)} {quoted(tickets)} < /dev/null
}}
"""


def call(workdir: str, tickets: str, shell: str, verb: str, *arguments: str) -> str:
    """The command line for a verb. No secret may stand in it."""
    script = quoted(f"{folder(tickets)}/agent.sh")
    words = (verb, quoted(workdir), quoted(tickets), *map(quoted, arguments))
    return " ".join((shell, script, *words))


def as_user(command: str, become: str) -> str:
    """The command as the user that scripts run as."""
    if not become:
        return f"exec {command}"
    return (
        f"exec sudo -n -H -u {quoted(become)} -- /bin/sh -c 'cd || exit; exec \"$@\"' sh {command}"
    )


def bundle(script: str, variables: Mapping[str, str], environment: Mapping[str, str]) -> bytes:
    """What a start reads from stdin: shell text that says what the ticket's files hold."""
    program, *rest = ticket.interpreter(script)
    exports = (f"export {name}={quoted(value)}" for name, value in environment.items())
    lines = (
        f"de_put script {quoted(script)}",
        f"de_put variables {quoted(ticket.render_variables(variables))}",
        f"de_program={quoted(program)} de_argument={quoted(' '.join(rest))}",
        "\n".join(("de_environment() {", ":", *exports, "}")),
        "# whole\n",
    )
    return ticket.encode("\n".join(lines))
