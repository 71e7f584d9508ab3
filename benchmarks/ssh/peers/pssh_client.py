"""parallel-ssh: a ParallelSSHClient of libssh2, script after script; its connections stay open."""

from __future__ import annotations

from protocol import carry_out, task
from pssh.clients import ParallelSSHClient
from pssh.config import HostConfig


def main() -> None:
    given = task()
    client = ParallelSSHClient(
        ["127.0.0.1"] * len(given.machines),
        host_config=[
            HostConfig(user=machine.user, port=machine.port, private_key=machine.identity)
            for machine in given.machines
        ],
        pool_size=given.pool,
    )
    _run(client, "true")

    def run() -> None:
        for script in given.scripts:
            _run(client, script.text)

    carry_out(run)


def _run(client: ParallelSSHClient, text: str) -> None:
    outputs = client.run_command(text)
    client.join(outputs)
    for output in outputs:
        list(output.stdout)
        if output.exit_code != 0:
            raise SystemExit(f"a script ended with {output.exit_code}")


if __name__ == "__main__":
    main()
