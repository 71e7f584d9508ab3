"""pyinfra: its API, since the command would connect anew; --parallel is PARALLEL there.

``way``: "together" (operation after operation on all hosts) or "no_wait" (no host waits for the
others).
"""

from __future__ import annotations

from protocol import carry_out, task
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.operations import server


def main() -> None:
    given = task()
    hosts = [
        (
            machine.name,
            {
                "ssh_hostname": "127.0.0.1",
                "ssh_port": machine.port,
                "ssh_user": machine.user,
                "ssh_key": machine.identity,
                "ssh_known_hosts_file": given.known_hosts,
                "ssh_allow_agent": False,
                "ssh_look_for_keys": False,
            },
        )
        for machine in given.machines
    ]
    state = State(Inventory((hosts, {})), Config(PARALLEL=given.pool))
    connect_all(state)

    def run() -> None:
        for script in given.scripts:
            add_op(state, server.shell, commands=[script.text])
        run_ops(state, no_wait=given.way == "no_wait")
        if state.failed_hosts:
            raise SystemExit(f"failed: {state.failed_hosts}")

    carry_out(run)


if __name__ == "__main__":
    main()
