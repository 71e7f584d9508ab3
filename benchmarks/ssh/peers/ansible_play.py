"""Ansible: a play whose tasks are the scripts; control masters of OpenSSH stay.

``way`` is "free" or "linear", the strategy; ``module`` is "raw" (the text goes to the shell as it
is) or "shell" (what a playbook mostly says; it takes a Python there).
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from protocol import carry_out, task


def main() -> None:
    given = task()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # control masters leave their family; this keeps them
    folder = Path(given.folder)
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps(_inventory(given)))
    environment = {**os.environ, **_settings(given, folder)}
    here = Path(sys.executable).parent
    warm = [str(here / "ansible"), "all", "-m", "raw", "-a", "true"]
    _do([*warm, "-i", str(inventory), "-f", str(given.pool)], environment)
    play = folder / "play.json"
    play.write_text(json.dumps(_play(given)))

    def run() -> None:
        playbook = [str(here / "ansible-playbook"), "-f", str(given.pool), "-i", str(inventory)]
        _do([*playbook, str(play)], environment)

    carry_out(run)


def _do(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout.decode()[-2000:])


def _inventory(given: Any) -> dict[str, Any]:
    hosts = {
        machine.name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": machine.port,
            "ansible_user": machine.user,
            "ansible_ssh_private_key_file": machine.identity,
            "ansible_python_interpreter": given.python,
        }
        for machine in given.machines
    }
    return {"all": {"hosts": hosts}}


def _play(given: Any) -> list[dict[str, Any]]:
    tasks = [
        {"name": each.name, f"ansible.builtin.{given.module}": each.text} for each in given.scripts
    ]
    return [{"hosts": "all", "gather_facts": False, "strategy": given.way, "tasks": tasks}]


def _settings(given: Any, folder: Path) -> dict[str, str]:
    return {
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_USETTY": "False",
        "ANSIBLE_SSH_ARGS": "-F none -o ControlMaster=auto -o ControlPersist=600 "
        f"-o UserKnownHostsFile={given.known_hosts} -o IdentitiesOnly=yes",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "LC_ALL": "C.UTF-8",
    }


if __name__ == "__main__":
    main()
