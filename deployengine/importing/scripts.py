"""Scripts of steps, made such that they run here, and placeholders where they cannot.

A script keeps its text. What Octopus put around it is put there as far as this engine has the
same: bash scripts may call ``get_octopusvariable``, ``set_octopusvariable``, ``fail_step`` and the
functions that write messages, Python scripts the first three. A function that this engine has
nothing for ends the script with a message instead of doing nothing.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from deployengine.domain.insertion import BadReference, find_unquotable
from deployengine.importing.insertable import literal
from deployengine.importing.report import Uncarried

_WRITE = 'printf "%s\\n" "$*"'

_REFUSE = "{{ echo 'not carried over from Octopus: {}' >&2; exit 1; }}"
_SET = 'printf %s "$2" | set_output --stdin "$1" || exit 1'

_LACKING_IN_BASH = ("new_octopusartifact", "new_octopustarget", "update_progress")

#: What the functions that Octopus gives to bash scripts do here.
_BASH = {
    "get_octopusvariable": 'get_variable "$1"',
    "set_octopusvariable": f"[ $# -eq 2 ] || {_REFUSE.format('a sensitive output')}; {_SET}",
    "fail_step": 'printf "%s\\n" "${1:-}" >&2; exit 1',
    **dict.fromkeys(("write_verbose", "write_highlight", "write_wait", "write_warning"), _WRITE),
    **{name: _REFUSE.format(name) for name in _LACKING_IN_BASH},
}

_PYTHON = {
    "get_octopusvariable": """\
def get_octopusvariable(name):
    import subprocess
    return subprocess.check_output(["get_variable", name], text=True)
""",
    "set_octopusvariable": """\
def set_octopusvariable(name, value):
    import subprocess
    subprocess.run(["set_output", "--stdin", name], input=str(value), text=True, check=True)
""",
    "failstep": """\
def failstep(message=""):
    raise SystemExit(message or 1)
""",
}

#: What Octopus gives to PowerShell scripts.
_POWERSHELL = (
    r"\$OctopusParameters\b|\b(?:[a-z]+-Octopus\w+|Fail-Step|Update-Progress"
    r"|Write-(?:Highlight|Wait))\b"
)

_LINES = {
    "bash": "#!/usr/bin/env bash",
    "python": "#!/usr/bin/env python3",
    "powershell": "#!/usr/bin/env pwsh",
}


@dataclass(slots=True)
class Script:
    """A script for the catalog, and what has to be told of it."""

    text: str
    told: list[str] = field(default_factory=list)


def script(body: str, syntax: str) -> Script:
    """The script of a step; ``syntax`` is Octopus's word for its language, PowerShell if empty.

    Raises :class:`Uncarried` for a language or a text that cannot be run here.
    """
    language = syntax.strip().casefold() or "powershell"
    if language not in _LINES:
        raise Uncarried(f"a script in {syntax}")
    # Editors of Octopus end lines as Windows does, which no shell bears.
    body = body.replace("\r\n", "\n")
    if not body.strip():
        raise Uncarried("a script without text")
    made = _quotable({"bash": _bash, "python": _python, "powershell": _powershell}[language](body))
    made.text = made.text.rstrip("\n") + "\n"
    return made


def placeholder(what: str, original: str = "") -> str:
    """A script that fails and says why; ``original`` stands in it as a comment."""
    message = shlex.quote(f"not carried over from Octopus: {what}")
    lines = ["#!/bin/sh", literal(f"echo {message} >&2"), "exit 1"]
    if original.strip():
        text = literal(original.replace("\r\n", "\n").strip("\n"))
        lines += [
            "",
            "# What stood here in Octopus:",
            *(f"#   {line}".rstrip() for line in text.split("\n")),
        ]
    return "\n".join(lines) + "\n"


def _bash(body: str) -> Script:
    """Octopus reads it with bash whatever its own ``#!`` line says, which so is but a comment."""
    helpers = [f"{name}() {{ {does}; }}" for name, does in _BASH.items() if _calls(body, name)]
    lacking = [name for name in _LACKING_IN_BASH if _calls(body, name)]
    told = [f"it calls {', '.join(lacking)}, which does not exist here"] if lacking else []
    return Script("\n".join([_LINES["bash"], *helpers, body]), told)


def _calls(body: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", body) is not None


def _python(body: str) -> Script:
    helpers = [text for name, text in _PYTHON.items() if _calls(body, name)]
    told = ["it is a Python script and needs python3 on its machines"]
    return Script("\n".join([_LINES["python"], *helpers, body]), told)


def _powershell(body: str) -> Script:
    """Octopus stops at the first error, where PowerShell by itself goes on and says all is well."""
    told = ["it is a PowerShell script and needs pwsh on its machines"]
    helpers = re.findall(_POWERSHELL, body, re.IGNORECASE)
    if helpers:
        told.append(f"it uses {', '.join(dict.fromkeys(helpers))}, which does not exist here")
    return Script(f"{_LINES['powershell']}\n$ErrorActionPreference = 'Stop'\n{body}", told)


def _quotable(made: Script) -> Script:
    """Octopus inserts values as they are. Here they are quoted, and raw where that cannot be."""
    try:
        refused = find_unquotable(made.text)
        lines = made.text.split("\n")
        for found in refused:
            inner = re.escape(found.reference.strip())
            pattern = rf"(?<!#)#\{{\s*{inner}\s*\}}"
            raw = f"#{{{found.reference.strip()} | raw}}".replace("\\", "\\\\")
            lines[found.line - 1] = re.sub(pattern, raw, lines[found.line - 1])
        made.text = "\n".join(lines)
        left = find_unquotable(made.text)
    except BadReference as error:
        raise Uncarried(f"a script in which {error.what}") from error
    if left:
        raise Uncarried(f"a script in which {left[0].what}")
    if refused:
        names = dict.fromkeys(found.reference for found in refused)
        made.told.append(f"{', '.join(names)} is inserted unquoted, as code")
    return made
