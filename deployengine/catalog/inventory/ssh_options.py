"""Options of OpenSSH, in a file or on its command line, in the words of a catalog."""

from __future__ import annotations

import getopt
import re
import shlex
from collections.abc import Iterator, Mapping

#: Those that are keys of a connection.
_KEYS = {
    "hostname": "host",
    "port": "port",
    "user": "user",
    "identityfile": "identity_file",
    "config": "config",
}
#: Those that say how a machine is reached or known, and that a catalog has no key for.
_NOT_CARRIED = (
    *("bindaddress", "bindinterface", "certificatefile", "hostkeyalias", "identityagent"),
    *("knownhostscommand", "pkcs11provider", "securitykeyprovider"),
)
#: The letters of its command line; a colon stands behind those that take a word.
_LETTERS = "46AaCfGgKkMNnqsTtVvXxYyb:B:c:D:E:e:F:I:i:J:L:l:m:O:o:P:p:Q:R:S:W:w:"
#: What is meant by those that matter.
_OPTION_OF = {
    "-J": "proxyjump",
    "-F": "config",
    "-i": "identityfile",
    "-l": "user",
    "-p": "port",
    "-b": "bindaddress",
    "-B": "bindinterface",
    "-I": "pkcs11provider",
}
_TUNNELS = ("%h:%p", "[%h]:%p")
_NETCAT = (["nc", "%h", "%p"], ["netcat", "%h", "%p"])

#: The private key for a host on the way: no key of a connection, see :func:`settled`.
_KEY_ON_THE_WAY = "key on the way"

STILL_CHECKED = (
    "host keys are checked all the same: `deployengine machine trust` learns them, or name a "
    "known_hosts file under `connection`"
)


class Unsupported(Exception):
    """An option that cannot be carried over; says which and what to do."""


class NotCarried(Unsupported):
    """One that an ``ssh_config`` on the workers may still say."""


def keys(option: str, text: str) -> Mapping[str, str]:
    """The keys of a connection that an option stands for, in any case; none: it does not matter.

    An empty text says that there shall be none. Raises :class:`Unsupported`.
    """
    option = option.lower()
    if option in _NOT_CARRIED:
        raise NotCarried(
            f"there is no key for {option} in a catalog; let the workers' ssh_config say it, which "
            "is read when a machine is reached"
        )
    if option == "proxycommand":
        return _by_command(text)
    if option == "proxyjump":
        return {"jump": "" if _is_none(text) else text.replace("ssh://", "")}
    if option == "userknownhostsfile":
        files = [file for file in text.split() if file != "/dev/null" and not _is_none(file)]
        return {"known_hosts": files[0]} if files else {}
    if option in _KEYS:
        return {_KEYS[option]: "" if option == "identityfile" and _is_none(text) else text}
    return {}


def matters(option: str) -> bool:
    """Whether the option says how a machine is reached."""
    option = option.lower()
    return option in (*_KEYS, *_NOT_CARRIED, "proxyjump", "proxycommand", "userknownhostsfile")


def trusts_anybody(option: str, text: str) -> bool:
    """Whether the option turns the check of host keys off."""
    return option.lower() == "stricthostkeychecking" and text.lower() in ("no", "off", "accept-new")


def settled(found: dict[str, str]) -> dict[str, str]:
    """The keys of a machine once they are all known; raises :class:`Unsupported`."""
    found = dict(found)
    key = found.pop(_KEY_ON_THE_WAY, None)
    if key is not None and key != found.get("identity_file"):
        raise Unsupported(
            "hosts on the way are entered with the key of the machine itself; a key of their own "
            "can only stand in the workers' ssh_config"
        )
    return found


def arguments(text: str) -> Iterator[tuple[str, str]]:
    """The options among words of its command line; raises :class:`Unsupported`."""
    try:
        found, rest = getopt.gnu_getopt(shlex.split(text), _LETTERS)
    except (getopt.GetoptError, ValueError) as error:
        raise Unsupported("these are no options of ssh") from error
    if rest:
        raise Unsupported("only options of ssh may stand here")
    yield from _options(found)


def _options(found: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for letter, word in found:
        if letter == "-o":
            option, _, said = re.sub(r"\s*=\s*|\s+", "\0", word.strip(), count=1).partition("\0")
            yield option, said.strip().strip('"')
        elif letter in _OPTION_OF:
            yield _OPTION_OF[letter], word


def _by_command(text: str) -> Mapping[str, str]:
    """What goes by way of another host as ``ProxyJump`` would."""
    if _is_none(text):
        return {"jump": ""}
    wrong = Unsupported(
        "a ProxyCommand may only be `ssh -W %h:%p [USER@]HOST` here; write ProxyJump, or leave the "
        "host out with `exclude`"
    )
    hop: dict[str, str] = {}
    try:
        program, *words = shlex.split(text)
        found, rest = getopt.gnu_getopt(words, _LETTERS)
        for option, said in _options(found):
            hop = {**keys(option, said), **hop}
    except (ValueError, getopt.GetoptError, Unsupported) as error:
        raise wrong from error
    host, *command = rest or [""]
    tunnel = dict(found).get("-W")
    forwards = command in _NETCAT if tunnel is None else tunnel in _TUNNELS and not command
    if program.rpartition("/")[2] != "ssh" or not forwards or not host or "%" in host:
        raise wrong
    if not hop.keys() <= {"user", "port", "identity_file", "known_hosts"}:
        raise wrong
    if "user" in hop and "@" not in host:
        host = f"{hop['user']}@{host}"
    if "port" in hop:
        host = f"{host}:{hop['port']}"
    return {"jump": host} | (
        {_KEY_ON_THE_WAY: hop["identity_file"]} if "identity_file" in hop else {}
    )


def _is_none(text: str) -> bool:
    return text.strip().lower() == "none"
