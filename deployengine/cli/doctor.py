"""``doctor``: is everything there and fit, and what to do if not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
from redis.exceptions import RedisError
from rich.console import Console

from deployengine.cli.session import Session, command
from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import RunState
from deployengine.domain.environment import Machine
from deployengine.domain.errors import DeployEngineError
from deployengine.domain.identity import run_id
from deployengine.domain.variables import Sealed, Variable
from deployengine.engine.reception import is_not_enabled
from deployengine.engine.requests import on_machine
from deployengine.persistence.tables import prepare
from deployengine.services import Services
from deployengine.settings import redacted_url


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is fit, and what to do where it is not."""

    part: str
    fit: bool
    found: str
    advice: str = ""


@click.command(epilog="Example:  deployengine doctor")
@command
def doctor(session: Session) -> int:
    """Check database, Redis, master key, workers and machines; say what to do."""
    with Services(session.settings) as services:
        findings = [
            finding
            for part, check in (
                ("database", _database),
                ("redis", _redis),
                ("master key", _master_key),
                ("workers", _workers),
                ("machines", _machines),
            )
            for finding in _told(part, check, services)
        ]

    def show(out: Console) -> None:
        for f in findings:
            mark = "[green]fit[/]   " if f.fit else "[red]unfit[/] "
            out.print(f"{mark} {f.part}: ", end="")
            out.print(f.found, markup=False)
            if f.advice:
                out.print(f"       {f.advice}", markup=False)

    fit = all(f.fit for f in findings)
    findings_document = [
        {"part": f.part, "fit": f.fit, "found": f.found, "advice": f.advice} for f in findings
    ]
    session.answer({"fit": fit, "findings": findings_document}, show)
    return 0 if fit else 1


def _told(
    part: str, check: Callable[[Services], Iterator[Finding]], services: Services
) -> Iterator[Finding]:
    try:
        yield from check(services)
    except (DeployEngineError, RedisError) as error:
        yield Finding(part, fit=False, found=str(error))


def _database(services: Services) -> Iterator[Finding]:
    prepare(services.database)
    with services.database.read() as tx:
        releases = tx.deployments.count_open()
    where = redacted_url(services.settings.database_url)
    yield Finding("database", fit=True, found=f"{where}, {releases} deployments under way")


def _redis(services: Services) -> Iterator[Finding]:
    info = services.redis.info()
    assert isinstance(info, dict)
    version = str(info["redis_version"])
    where = redacted_url(services.redis_url)
    old = tuple(int(n) for n in version.split(".")[:2]) < (6, 2)
    yield Finding(
        "redis",
        fit=not old,
        found=f"{where}, version {version}",
        advice="version 6.2 or later is needed" if old else "",
    )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    yield Finding(
        "redis eviction",
        fit=policy == "noeviction",
        found=policy,
        advice=""
        if policy == "noeviction"
        else "set maxmemory-policy noeviction: locks may vanish",
    )
    kept = (
        "append-only file" if info.get("aof_enabled") else "none needed: the database is the truth"
    )
    yield Finding("redis persistence", fit=True, found=kept)


def _master_key(services: Services) -> Iterator[Finding]:
    with services.database.read() as tx:
        documents = [d for kind in ("project", "variable_set") for d in tx.catalog.documents(kind)]
    variables = (Variable.from_document(v) for d in documents for v in d.get("variables", ()))
    sealed = next((v.value for v in variables if isinstance(v.value, Sealed)), None)
    if sealed is not None:
        services.secrets.unseal(sealed)
    opened = "opens what is sealed in the catalog" if sealed else "there; nothing is sealed yet"
    yield Finding("master key", fit=True, found=opened)


def _workers(services: Services) -> Iterator[Finding]:
    present = services.roll.present()
    slots = sum(worker.task_cap for worker in present)
    names = {worker.name for worker in present}
    with services.database.read() as tx:
        running = [run for run in tx.runs.open() if run.state is RunState.RUNNING]
    orphans = [f"{run_id(run.id)}{on_machine(run)}" for run in running if run.worker not in names]
    if orphans:
        advice = "a worker that is there picks them up within a lease or two; start one if none is"
        found = f"runs without a worker: {', '.join(orphans[:5])}"
        yield Finding("runs", fit=False, found=found, advice=advice)
    yield Finding(
        "workers",
        fit=bool(present),
        found=f"{len(present)} with {slots} slots",
        advice="" if present else "start some: deployengine up, or deployengine worker",
    )


def _machines(services: Services) -> Iterator[Finding]:
    with services.database.read() as tx:
        machines = [Machine.from_document(d) for d in tx.catalog.documents("machine")]
    if not machines:
        advice = "apply a catalog: deployengine init, then deployengine apply catalog"
        yield Finding("machines", fit=False, found="none", advice=advice)
        return
    faults = [fault for m in machines if (fault := _workdir_fault(services, m))]
    away = f", {len(faults)} whose folder cannot be used here" if faults else ""
    told = f"{len(machines)}{away}"
    yield Finding("machines", fit=not faults, found=told, advice="; ".join(faults[:5]))
    yield from _out_of_use(services)


def _out_of_use(services: Services) -> Iterator[Finding]:
    """Machines that could not be used, and those that people have taken out of use."""
    known = [view.known for view in services.machines.all()]
    away = [each for each in known if each.state is Health.UNAVAILABLE]
    if away:
        names = [f"{each.machine} ({each.message})" for each in away[:5]]
        found = f"{len(away)} unavailable: {'; '.join(names)}"
        advice = "see to them, then: deployengine machine check"
        yield Finding("unavailable machines", fit=False, found=found, advice=advice)
    others = [each for each in known if each.mode is not MachineMode.ENABLED]
    if others:
        found = "; ".join(is_not_enabled(each) for each in others[:5])
        advice = "to use them again: deployengine machine enable"
        yield Finding("machines out of use", fit=True, found=found, advice=advice)


def _workdir_fault(services: Services, machine: Machine) -> str | None:
    if not machine.is_local:
        return None  # `machine check` looks there
    folder = services.workdir_of(machine)
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not existing.is_dir():
        return f"{machine.name}: {existing} is no folder"
    if not os.access(existing, os.W_OK):
        return f"{machine.name}: {existing} cannot be written"
    if shutil.disk_usage(existing).free < 10_000_000:
        return f"{machine.name}: the disk of {existing} is full"
    return None
