"""Fabric: a ThreadingGroup, script after script; its connections stay open."""

from __future__ import annotations

from fabric import Config, Connection, ThreadingGroup
from protocol import carry_out, task


def main() -> None:
    given = task()
    config = Config(overrides={"run": {"hide": True, "in_stream": False, "pty": False}})
    group = ThreadingGroup.from_connections(
        Connection(
            "127.0.0.1",
            user=machine.user,
            port=machine.port,
            config=config,
            connect_kwargs={
                "key_filename": machine.identity,
                "allow_agent": False,
                "look_for_keys": False,
            },
        )
        for machine in given.machines
    )
    group.run("true")

    def run() -> None:
        for script in given.scripts:
            group.run(script.text)

    carry_out(run)


if __name__ == "__main__":
    main()
