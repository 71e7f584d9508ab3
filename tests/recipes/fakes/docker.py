"""``docker`` 28 with its plugin Compose, and ``docker-compose``, as their references describe them.

The story: ``compose`` is ``v2`` (2.40: up waits and has a limit for it), ``v2-old`` (2.16: up has
no limit), ``v1`` (``docker-compose`` 1.29, no plugin) or ``none``. ``services`` have each their
``states``, each as ``[state, health, exit code]``, which looks find one after the other and then
the last one again; ``lines`` of its log; ``oneoff`` for a container that somebody has run beside
the services; ``orphan`` for one that the files do not have any more. ``pull`` and ``up`` are the
exit codes of these. ``environment`` names variables to note with each call of up.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

_UP = {"--detach", "--build", "--remove-orphans"}
_GLOBAL = ("--file=", "--project-name=", "--env-file=")


def say(line: str, to: TextIO = sys.stdout) -> None:
    to.write(f"{line}\n")


class Docker:
    def __init__(self, story: str) -> None:
        self._path = Path(story)
        self.story: dict[str, Any] = json.loads(self._path.read_text())
        self.services: dict[str, dict[str, Any]] = self.story["services"]

    def main(self, name: str, words: list[str]) -> int:
        if name == "docker-compose":
            return self._compose(words) if self.story["compose"] == "v1" else 127
        if words[0] == "compose":
            if self.story["compose"] in ("v1", "none"):
                say("docker: unknown command: docker compose", sys.stderr)
                return 1
            return self._compose(words[1:])
        return {"inspect": self._inspect, "logs": self._logs}[words[0]](words[1:])

    def _compose(self, words: list[str]) -> int:
        while words and words[0].startswith(_GLOBAL):
            words = words[1:]
        command, *rest = words
        if command == "version":
            return 0
        if rest == ["--help"]:
            say(self._help(command))
            return 0
        return {"config": self._config, "pull": self._pull, "up": self._up, "ps": self._ps}[
            command
        ](rest)

    def _help(self, command: str) -> str:
        new = self.story["compose"] == "v2"
        if command == "pull":
            return (
                "  --ignore-buildable   Ignore images that can be built" if new else "  -q, --quiet"
            )
        return "  --wait-timeout int   Maximum duration in seconds" if new else "  -d, --detach"

    def _config(self, words: list[str]) -> int:
        assert words == ["--services"], words
        for name, service in self.services.items():
            if not service.get("orphan") and not service.get("oneoff"):
                say(name)
        return 0

    def _pull(self, words: list[str]) -> int:
        assert words[0] == "--quiet", words
        code: int = self.story.get("pull", 0)
        if code:
            say("Error response from daemon: manifest unknown", sys.stderr)
        return code

    def _up(self, words: list[str]) -> int:
        waits = "--wait" in words
        if waits:
            assert self.story["compose"] == "v2", "this one has no --wait-timeout"
            at = words.index("--wait")
            assert words[at + 1] == "--wait-timeout", words
            int(words[at + 2])
            words = words[:at] + words[at + 3 :]
        options = {word for word in words if word.startswith("-")}
        assert options <= _UP, options
        if self.story.get("up"):
            say("Error: no such network", sys.stderr)
            return int(self.story["up"])
        if not waits:
            return 0
        for name, service in self.services.items():
            service["states"] = service["states"][-1:]
            self._path.write_text(json.dumps(self.story))
            state, health, code = service["states"][0]
            if state == "exited":
                say(f"container shop-{name}-1 exited ({code})", sys.stderr)
                return 1
            if health not in ("healthy", ""):
                say(f"container shop-{name}-1 is {health}", sys.stderr)
                return 1
        return 0

    def _ps(self, words: list[str]) -> int:
        options = [word for word in words if word.startswith("-")]
        assert set(options) <= {"--all", "--quiet"}, options
        names = [word for word in words if not word.startswith("-")]
        for name, service in self.services.items():
            if names and service.get("of", name) not in names:
                continue
            say(f"id-{name}" if "--quiet" in options else f"shop-{name}-1   {name}")
        return 0

    def _inspect(self, words: list[str]) -> int:
        option, form, *ids = words
        assert option == "--format"
        assert form.count("{{") == form.count("}}") == 9, form
        for each in ids:
            name = each.removeprefix("id-")
            service = self.services[name]
            state, health, code = service["states"][0]
            if len(service["states"]) > 1:
                service["states"] = service["states"][1:]
            beside = "True" if service.get("oneoff") else "False"
            say(f"{each} {service.get('of', name)} {state} {health or 'none'} {code} {beside}")
        self._path.write_text(json.dumps(self.story))
        return 0

    def _logs(self, words: list[str]) -> int:
        option, number, each = words
        assert (option, number) == ("--tail", "30")
        for line in self.services[each.removeprefix("id-")].get("lines", ()):
            say(line, sys.stderr)
        return 0


def main(name: str, story: str, calls: str, *words: str) -> int:
    docker = Docker(story)
    with Path(calls).open("a") as file:
        names = docker.story.get("environment", ()) if "up" in words else ()
        said = "".join(f" ({each}={os.environ.get(each)})" for each in names)
        file.write(f"{name} {' '.join(words)}{said}\n")
    return docker.main(name, list(words))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
