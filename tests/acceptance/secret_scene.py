"""A scene for the search for secrets: an installation that has many, and all that is seen of it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from deployengine.cli.main import main
from deployengine.domain.identity import deployment_id, run_id
from tests.acceptance.catalogs import catalog, machine, step
from tests.support.canaries import Search, canaries
from tests.support.engine import LiveEngine, until
from tests.support.witnesses import ProcessList, RedisCommands, content

SAY_IT = Path(__file__).parents[1] / "support" / "say_it.py"

TOGETHER = 50  # secrets of one project
MACHINES = 4
SENSITIVE_TAG = "Octopus.Task.ConcurrencyTag"

#: Says every secret: as it is, encoded, in traces, as a command's name, as outputs.
SAY = """\
set -- {references}
for v; do printf '%s\\n' "$v"; done
for v; do printf '%s\\0' "$v"; done | "$PYTHON" "$SCRATCH/say_it.py"
printf '%s' "$1" | base64
(printf '%070d' 0; printf '%s' "$2"; printf '%070d' 0) | base64
set -x
for v; do : "$v"; done
set +x
"$1"
printf '%s' "$1" | set_output --stdin Whole
printf '%s' "$2" | base64 | set_output --stdin Coded
printf '%s' worthless | set_output --stdin "$3"
echo said
"""
ENDS = {
    "succeeds": "",
    "fails": 'echo "cannot log in with $1" >&2; exit 3\n',
    "is-cancelled": 'read -r _ < "$SCRATCH/hold"\n',
}
USE = """\
echo 'with #{Octopus.Action[Say].Output.Whole} and #{Octopus.Action[Say].Output.Coded}'
get_variable 'Octopus.Action[Say].Output.Whole' | base64
"""

#: What to say to the commands that only read; each is said with and without --json.
READING: Mapping[str, list[str]] = {
    "apply": ["--dry-run {changed}"],
    "audit list": [""],
    "audit show": ["1", "2", "3"],
    "audit verify": [""],
    "batch list": [""],
    "batch show": ["all"],
    "calendar": [""],
    "deployment list": [""],
    "deployment log": ["{deployment}", "{run}"],
    "deployment show": ["{deployment}"],
    "doctor": [""],
    "inbox": [""],
    "inventory show": ["{changed} --environment QA"],
    "locks": ["", "m-1"],
    "machine check": ["", "{machine}"],
    "machine list": [""],
    "machine show": ["{machine}"],
    "release list": ["", "--project {project}"],
    "release show": ["{project} 1.0"],
    "retention apply": ["--dry-run"],
    "secrets status": [""],
    "variable resolve": ["{project}", "{project} --environment QA --machine {machine}"],
    "why": ["{deployment}"],
}
#: Those that change something or run on. What is said to them here is searched as well.
CHANGING = {
    *("approve", "guide"),
    *("batch cancel", "batch run", "database upgrade", "demo"),
    *("deployment answer", "deployment cancel", "deployment prioritise", "deployment retry"),
    *("deployment top", "down", "flower", "housekeeping", "import octopus", "init"),
    *("machine disable", "machine distrust", "machine drain", "machine enable", "machine trust"),
    *("release block", "release cancel", "release create", "release deploy"),
    *("release refresh-variables", "release rollback", "release unblock"),
    *("secrets rotate", "up", "worker"),
}

Sightings = Iterator[tuple[str, bytes]]


class Scene:
    """An installation that has secrets, and everything that could be seen of it."""

    def __init__(self, engine: LiveEngine, folder: Path, many: int, ends: list[str]) -> None:
        self.engine = engine
        self.folder = folder
        self.secrets = canaries(many)
        self.projects = {
            f"app-{n}-{ends[n % len(ends)]}": self.secrets[n * TOGETHER : (n + 1) * TOGETHER]
            for n in range(many // TOGETHER)
        }
        self.spare = canaries(10, seed=2)
        self.said: list[tuple[str, bytes]] = []
        engine.write("say_it.py", SAY_IT.read_text("utf-8"))

    # ---- what there is ----

    def write(self) -> None:
        """The catalog, another one with other secrets, and a batch of all projects."""
        named = [self._project(n, name) for n, name in enumerate(self.projects)]
        self._write_catalog("catalog.yaml", [*named, *self._odd_ones()])
        self._write_catalog("changed.yaml", [*self._odd_ones(self.spare[5]), *named[:1]])
        rows = [{"project": name, "version": "1.0"} for name in self.projects]
        (self.folder / "batch.yaml").write_text(json.dumps(rows))
        (self.folder / "answers.yaml").write_text(json.dumps({"Answer": self.spare[6]}))

    def _write_catalog(self, name: str, projects: list[dict[str, Any]]) -> None:
        machines = [machine(f"m-{n}", "QA", roles=[f"r-{n}"]) for n in range(MACHINES)]
        shared = {"name": "Shared", "variables": [_sensitive("Shared", self.spare[0])]}
        document = catalog(*projects, machines=machines, variable_sets=[shared])
        (self.folder / name).write_text(json.dumps(document))

    def _project(self, number: int, name: str) -> dict[str, Any]:
        names = [f"S{n}" for n in range(TOGETHER)]
        say = SAY.format(references=" ".join(f"'#{{{name}}}'" for name in names))
        roles = [f"r-{number % MACHINES}"]
        end = next(end for label, end in ENDS.items() if name.endswith(label))
        values = zip(names, self.projects[name], strict=True)
        return {
            "name": name,
            "lifecycle": "auto",
            "include": ["Shared"],
            "variables": [_sensitive(n, value) for n, value in values],
            "process": [step(say + end, "Say", roles=roles), step(USE, "Use", roles=roles)],
        }

    def _odd_ones(self, tag: str | None = None) -> list[dict[str, Any]]:
        """Projects whose secrets stand where they could come into names and messages."""
        tag = tag or self.spare[1]
        tagged = [
            _sensitive("Database", tag),
            {"name": SENSITIVE_TAG, "value": "on #{Database}"},
        ]
        flag = [
            _sensitive("Flag", self.spare[2]),
            {"name": "OctopusBypassDeploymentMutex", "value": "#{Flag}"},
        ]
        window = [
            _sensitive("Many", self.spare[3]),
            {"name": "Octopus.Action.MaxParallelism", "value": "#{Many}"},
        ]
        letters = re.sub(r"\W|_", "", self.spare[4], flags=re.ASCII)
        unknown = f"#{{{letters}[#{{Octopus.Step.Name}}]}}"
        broken = [_sensitive("Broken", f"{self.spare[4]} {unknown}")]
        asked = [{"name": "Answer", "value": "", "sensitive": True, "prompt": {"label": "Answer"}}]
        return [
            _one_step("asked", "echo '#{Answer}'\n", asked),
            _one_step("tagged", "true\n", tagged),
            _one_step("flagged", "true\n", flag),
            _one_step("windowed", "true\n", window),
            _one_step("broken", "echo '#{Broken}'\n", broken),
        ]

    # ---- what is done ----

    def say(self, command: str) -> str:
        """Says a command in this process, and keeps its output for the search."""
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out), pytest.raises(SystemExit):
            main(command.split())
        self.said.append((command, out.getvalue().encode()))
        return out.getvalue()

    def read_everything(self) -> None:
        """Says every command that reads."""
        details = [self.engine.detail(d.id) for d in self.engine.deployments()]
        names = {
            "project": [*self.projects, "tagged", "broken", "asked"],
            "deployment": [deployment_id(d.deployment.id) for d in details],
            "run": [run_id(run.id) for d in details[:2] for run in d.runs],
            "machine": ["m-0"],
            "changed": [str(self.folder / "changed.yaml")],
        }
        for command, forms in READING.items():
            for arguments in (filled for form in forms for filled in _filled(form, names)):
                self.say(f"{command} {arguments}")
                self.say(f"{command} {arguments} --json")

    def cancel(self, project: str) -> None:
        """Cancels a deployment once its script has said everything."""
        (held,) = self.engine.services.queries.deployments(project=project)

        def has_said() -> bool:
            runs = self.engine.detail(held.id).runs
            return any(
                "said\n" in line for _, line in self.engine.services.queries.output(runs[0].id)
            )

        until(has_said, f"all of {project}")
        self.say(f"deployment cancel {deployment_id(held.id)}")

    # ---- what could be seen ----

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks on while the block lasts."""
        socket = self.engine.settings.redis_dir / "redis.sock"
        with RedisCommands(socket) as commands, ProcessList() as processes:
            yield
        assert b"EVALSHA" in commands.seen.upper(), "the witness has seen nothing of Redis"
        assert processes.wrappers, "the witness has seen no script run"
        self.said.append(("the commands that Redis was given", bytes(commands.seen)))
        self.said.append(("the process list", b"\n".join(processes.seen)))

    def look_into_redis(self, when: str) -> None:
        """Keeps all that is in Redis now."""
        client: Redis = self.engine.services.redis
        self.said.append((f"Redis {when}", content(client)))

    def sightings(self) -> Sightings:
        """Everything, with where it was seen."""
        yield from self.said
        with self.engine.services.database.engine.connect() as connection:
            for table in _tables(connection):
                rows = connection.execute(text(f"SELECT * FROM {table}"))
                yield f"table {table}", "\n".join(repr(tuple(row)) for row in rows).encode()
        for file in sorted(self.engine.scratch.rglob("*")):
            if file.is_file():
                yield str(file.relative_to(self.engine.scratch)), file.read_bytes()

    def leaks(self) -> dict[str, set[str]]:
        """Where something of a secret was seen, and of which."""
        search = Search([*self.secrets, *self.spare])
        found = ((where, search.traces(seen)) for where, seen in self.sightings())
        return {where: traces for where, traces in found if traces}


def _sensitive(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value, "sensitive": True}


def _one_step(name: str, script: str, variables: list[dict[str, Any]]) -> dict[str, Any]:
    process = [step(script, "Say", roles=["r-1"])]
    return {"name": name, "lifecycle": "auto", "variables": variables, "process": process}


def _filled(form: str, names: Mapping[str, list[str]]) -> Iterator[str]:
    wanted = [key for key in names if f"{{{key}}}" in form]
    for number in range(max((len(names[key]) for key in wanted), default=1)):
        yield form.format(**{key: names[key][number % len(names[key])] for key in wanted})


def _tables(connection: Any) -> list[str]:
    schema = "sqlite_master" if connection.dialect.name == "sqlite" else "pg_tables"
    column = "name" if schema == "sqlite_master" else "tablename"
    where = "type = 'table'" if schema == "sqlite_master" else "schemaname = 'public'"
    rows = connection.execute(text(f"SELECT {column} FROM {schema} WHERE {where}"))
    return list(rows.scalars())
