"""How a host is reached by the variables that Ansible has for that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deployengine.catalog.inventory import ssh_options
from deployengine.catalog.inventory.listing import Place, Value, Variables
from deployengine.catalog.inventory.ssh_options import Unsupported
from deployengine.catalog.inventory.way import Way

#: The variables of each key. Of several that are said the last counts, as in Ansible.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "host": ("ansible_host", "ansible_ssh_host"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "identity_file": ("ansible_private_key_file", "ansible_ssh_private_key_file"),
}
_BECOME_USER = ("ansible_become_user", "ansible_sudo_user")
#: Words for the command line of ssh, by their place before and behind what the keys say.
_WORDS_BEFORE = ("ansible_ssh_args",)
_WORDS_BEHIND = ("ansible_ssh_common_args", "ansible_ssh_extra_args")

_CHECKS = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")

#: Secrets, by the key that names one in a catalog.
_SECRETS: Mapping[str, tuple[str, ...]] = {
    "password": ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"),
    "identity": ("ansible_private_key", "ansible_ssh_private_key"),
    "passphrase": ("ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase"),
    "become": ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"),
}
_OF_SUDO = (
    "sudo is never given a password: let the user become the other one without (NOPASSWD in "
    "sudoers), and leave this out"
)

_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
_TRUE = ("true", "yes", "on", "1", "y", "t")
_FALSE = ("false", "no", "off", "0", "n", "f")

_TEMPLATE = re.compile(r"\{\{|\{%")
#: The one template that means the same everywhere.
_ITS_NAME = re.compile(r"\{\{\s*inventory_hostname\s*\}\}")
_WORD = re.compile(r"[\w.]{1,60}", re.ASCII)


def way(variables: Variables, host: str, given: Mapping[str, Any]) -> Way:
    """How the host is reached; ``given`` is the connection that the catalog says for all hosts."""
    reading = _Reading(variables, host, given)
    if reading.is_of_ours():
        reading.read()
    return reading.way


class _Reading:
    def __init__(self, variables: Variables, host: str, given: Mapping[str, Any]) -> None:
        self.way = Way(host)
        self._variables = variables
        self._given = given

    def is_of_ours(self) -> bool:
        """Whether it is a kind of machine that we know; else there is a fault for it."""
        connection, place = self._text("ansible_connection")
        kind = re.sub(r"^ansible\.(builtin|legacy)\.", "", connection or self._kind_for_all())
        if kind not in (*_SSH, "local"):
            self._unknown(place, kind, "ssh and local are known")
            return False
        self.way.kind = "local" if kind == "local" else "ssh"
        shell, place = self._text("ansible_shell_type")
        if shell in ("powershell", "cmd"):
            self._unknown(place, shell, "machines with /bin/sh are known")
            return False
        return True

    def _kind_for_all(self) -> str:
        return "local" if self._given.get("kind") == "local" else "ssh"

    def read(self) -> None:
        """Everything but the kind."""
        become = self._become()
        if self.way.kind == "local":
            if become:
                message = "scripts on this host run as the engine's own user; leave it out there"
                self.way.faults.append(self._place("ansible_become").fault(message))
            return
        self._words(_WORDS_BEFORE)
        for key, names in _NAMES.items():
            text, place = self._last(names, key)
            if text:
                self.way.say(key, text, place)
        self._words(_WORDS_BEHIND)
        if become is not None:
            self.way.say("become", become, self._place("ansible_become"))
        for name in _CHECKS:
            if self._truth(name) is False:
                self._warn(name, ssh_options.STILL_CHECKED)
        for key, names in _SECRETS.items():
            for name in names:
                self._secret(key, name)
        self.way.settle()

    def _become(self) -> str | None:
        """The user to become, empty for nobody; ``None``: nothing is said."""
        wanted = self._truth("ansible_become")
        if not wanted:
            return None if wanted is None else ""
        method, place = self._text("ansible_become_method")
        if method and method.rpartition(".")[2] != "sudo":
            self._unknown(place, method, "sudo is known")
        program, place = self._text("ansible_become_exe")
        if program and program.rpartition("/")[2] != "sudo":
            self._unknown(place, program, "sudo is known")
        return self._last(_BECOME_USER, "become")[0] or "root"

    def _words(self, names: tuple[str, ...]) -> None:
        for name in names:
            text, place = self._text(name, "jump")
            try:
                for option, said in ssh_options.arguments(text or ""):
                    self.way.option(option, said, place)
            except Unsupported as error:
                self.way.faults.append(place.fault(str(error)))

    def _secret(self, key: str, name: str) -> None:
        """A secret in clear is refused; one that we cannot see must be named another way."""
        said = self._variables.get(name)
        if said is None or not (said.text or said.hidden or said.nested):
            return
        advice = _OF_SUDO
        if key != "become":
            advice = (
                "make it a sensitive variable of a variable set, and name that under `connection` "
                f"as {key}: {{set: …, variable: …}}"
            )
        if said.hidden or (said.text and _TEMPLATE.search(said.text)):
            if key not in self._given:
                self._warn(name, f"it is not known here, and left out; {advice}")
        else:
            self.way.faults.append(
                said.place(name).fault(f"a secret in clear is refused; {advice}")
            )

    # ---- single variables ----

    def _last(self, names: tuple[str, ...], key: str) -> tuple[str | None, Place]:
        found: tuple[str | None, Place] = None, Place("")
        for name in names:
            text, place = self._text(name, key)
            if text is not None:
                found = text, place
        return found

    def _text(self, name: str, key: str = "") -> tuple[str | None, Place]:
        """What is said, ``None`` for nothing.

        A fault, if nobody can know here what it means, unless the catalog says the ``key``.
        """
        said = self._variables.get(name)
        if said is None:
            return None, Place("")
        place = said.place(name)
        text = _ITS_NAME.sub(lambda _: self.way.host, said.text or "")
        if wrong := _unclear(said, text):
            if key not in self._given:
                instead = f", or say {key} under `connection`" if key else ""
                self.way.faults.append(place.fault(f"{wrong}{instead}"))
            return None, place
        return text or None, place

    def _truth(self, name: str) -> bool | None:
        text, place = self._text(name)
        if text is None:
            return None
        if text.lower() in _TRUE or text.lower() in _FALSE:
            return text.lower() in _TRUE
        self.way.faults.append(place.fault("must be true or false"))
        return None

    def _place(self, name: str) -> Place:
        return self._variables[name].place(name)

    def _unknown(self, place: Place, word: str, known: str) -> None:
        said = f"{word!r} is not supported" if _WORD.fullmatch(word) else "this is not supported"
        advice = "leave the host out with `exclude`"
        self.way.faults.append(place.fault(f"{said}: {known}; {advice}"))

    def _warn(self, name: str, message: str) -> None:
        self.way.warnings.append(self._place(name).fault(message))


def _unclear(said: Value, text: str) -> str | None:
    if said.hidden:
        return "it is encrypted by ansible-vault, and nothing is decrypted here; write it in clear"
    if said.nested:
        return "must be a text"
    if _TEMPLATE.search(text):
        return (
            "it is a Jinja template, which only a play of Ansible works out "
            "(ansible-inventory --list does not); write what it comes to"
        )
    return None
