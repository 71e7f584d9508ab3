"""``release``: create, deploy, roll back, block, cancel, list, show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.deployment_options import (
    terms_of,
    terms_options,
    told,
)
from deployengine.cli.deployment_view import cancel_said, coloured, remark, without
from deployengine.cli.documents import deployment_document, release_document
from deployengine.cli.moments import shown
from deployengine.cli.names import NAME
from deployengine.cli.package_versions import VERSION, once
from deployengine.cli.session import LIMIT, Session, command
from deployengine.cli.waiting import waiting_options
from deployengine.domain.identity import deployment_id, release_id
from deployengine.domain.package import Package
from deployengine.domain.selection import Selection
from deployengine.engine.releases import Wanted
from deployengine.persistence.records import ReleaseRecord


@click.group()
def release() -> None:
    """Create, deploy and look at releases."""


@release.command(
    "create", epilog="Example:  deployengine release create shop 1.4.0 --package shop-web=1.4.0"
)
@click.argument("project", type=NAME)
@click.argument("version", type=NAME)
@click.option("--channel", type=NAME, help="The channel that picks the lifecycle.")
@click.option(
    "--package",
    "packages",
    type=VERSION,
    multiple=True,
    callback=once,
    metavar="NAME=VERSION",
    help="The version of a package; repeatable. Left out: the newest of its feed.",
)
@command
def create(
    session: Session,
    project: str,
    version: str,
    channel: str | None,
    packages: tuple[tuple[str, str], ...],
) -> None:
    """Freeze PROJECT as release VERSION; an automatic first phase starts at once.

    Its packages are fetched for that, and frozen by checksum.
    """
    wanted = Wanted(project, version, channel, packages)
    created = session.services.releases.create(wanted, session.user, session.say)
    frozen = session.services.queries.packages(created.release)
    document = {
        "id": release_id(created.release.id),
        "project": created.release.project,
        "version": created.release.version,
        "channel": created.release.channel,
        "digest": created.release.digest,
        "created": created.new,
        "packages": [package.to_document() for package in frozen],
        "deployments": [deployment_document(d) for d in created.deployments],
    }

    def show(out: Console) -> None:
        made = "created" if created.new else "exists already, unchanged"
        out.print(f"{document['id']}  {project} {version}: {made}", markup=False)
        _show_packages(out, frozen)
        for d in created.deployments:
            note = f", {without(d)}" if d.without else ""
            out.print(f"{deployment_id(d.id)}  → {d.environment}: {d.state}{note}", markup=False)

    session.answer(document, show)


def _show_packages(out: Console, packages: Sequence[Package]) -> None:
    for each in packages:
        told = f"  {each} ({each.file} of {each.feed}, {each.size} bytes, SHA-256 {each.sha256})"
        out.print(told, markup=False)


@release.command(
    "deploy", epilog="Example:  deployengine release deploy app-001 1.4.0 Staging --wait"
)
@click.argument("project", type=NAME)
@click.argument("version", type=NAME)
@click.argument("environment", type=NAME)
@click.option(
    "--skip", type=NAME, multiple=True, metavar="STEP", help="Skip a step or group; repeatable."
)
@click.option(
    "--machine", "machines", type=NAME, multiple=True, help="Only to this machine; repeatable."
)
@click.option(
    "--exclude-machine", "exclude", type=NAME, multiple=True, help="Not to it; repeatable."
)
@click.option("--missing", is_flag=True, help="Only to machines that have not had all of it.")
@terms_options
@waiting_options()
@command
def deploy(
    session: Session,
    /,
    project: str,
    version: str,
    environment: str,
    skip: tuple[str, ...],
    machines: tuple[str, ...],
    exclude: tuple[str, ...],
    missing: bool,
    wait: bool,
    timeout: float | None,
    **given: Any,
) -> int:
    """Deploy a release to ENVIRONMENT, if its lifecycle lets it in."""
    services = session.services
    terms = replace(terms_of(session, **given), selection=Selection(skip, machines, exclude))
    if warning := services.releases.drift(project, version):
        session.say(f"warning: {warning}")
    act = services.again.catch_up if missing else services.deployments.deploy
    return told(session, act(project, version, environment, terms), wait, timeout)


@release.command("rollback", epilog="Example:  deployengine release rollback app-001 Production")
@click.argument("project", type=NAME)
@click.argument("environment", type=NAME)
@click.option(
    "--to", "version", type=NAME, help="The release to go back to; left out: the one before."
)
@terms_options
@waiting_options()
@command
def rollback(
    session: Session,
    /,
    project: str,
    environment: str,
    version: str | None,
    wait: bool,
    timeout: float | None,
    **given: Any,
) -> int:
    """Deploy what had succeeded in ENVIRONMENT before what is there now.

    That is the last release before it which went well as a whole. What was rolled back from does
    not count, unless it was deployed again since: a second rollback goes further back.
    """
    terms = terms_of(session, **given)
    deployment = session.services.again.roll_back(project, environment, version, terms)
    return told(session, deployment, wait, timeout)


@release.command(
    "refresh-variables", epilog="Example:  deployengine release refresh-variables app-001 1.4.0"
)
@click.argument("project", type=NAME)
@click.argument("version", type=NAME)
@command
def refresh_variables(session: Session, project: str, version: str) -> None:
    """Give a release today's variables; the rest of what it froze stays."""
    refreshed = session.services.releases.refresh(project, version, session.user)
    found = refreshed.release
    said = "has today's variables now" if refreshed.changed else "had today's variables already"
    session.answer(
        {
            "id": release_id(found.id),
            "project": found.project,
            "version": found.version,
            "digest": found.digest,
            "changed": refreshed.changed,
        },
        lambda out: out.print(f"{project} {version}: {said}", markup=False),
    )


@release.command("block", epilog="Example:  deployengine release block app-001 1.4.0 --reason bug")
@click.argument("project", type=NAME)
@click.argument("version", type=NAME)
@click.option("--reason", required=True, help="Why; whoever is kept out is told.")
@command
def block(session: Session, project: str, version: str, reason: str) -> None:
    """Keep a release from environments where it has not succeeded yet."""
    services = session.services
    before = services.queries.release(project, version).release
    after = services.releases.block(project, version, session.user, reason)
    changed = before.blocked_at is None
    said = _blocked(after)
    _answer_blocked(
        session, after, said if changed else f"is already {said}; nothing was changed", changed
    )


@release.command("unblock", epilog="Example:  deployengine release unblock app-001 1.4.0")
@click.argument("project", type=NAME)
@click.argument("version", type=NAME)
@command
def unblock(session: Session, project: str, version: str) -> None:
    """Let a release go on that was kept from going further."""
    services = session.services
    before = services.queries.release(project, version).release
    after = services.releases.unblock(project, version, session.user)
    changed = before.blocked_at is not None
    _answer_blocked(session, after, "may go on" if changed else "was not blocked", changed)


def _answer_blocked(session: Session, found: ReleaseRecord, said: str, changed: bool) -> None:
    document = {
        "id": release_id(found.id),
        "project": found.project,
        "version": found.version,
        "blocked_by": found.blocked_by,
        "blocked_reason": found.blocked_reason,
        "changed": changed,
    }
    session.answer(
        document, lambda out: out.print(f"{found.project} {found.version}: {said}", markup=False)
    )


def _blocked(found: ReleaseRecord) -> str:
    return f"blocked by {found.blocked_by}: {found.blocked_reason}"


@release.command("cancel", epilog="Example:  deployengine release cancel app-001 1.4.0")
@click.argument("project", type=NAME)
@click.argument("version", type=NAME)
@command
def cancel_release(session: Session, project: str, version: str) -> None:
    """Cancel all open deployments of a release."""
    cancelled = session.services.deployments.cancel_release(project, version, session.user)

    def show(out: Console) -> None:
        for d in cancelled:
            told = f"{deployment_id(d.id)}  → {d.environment}: {cancel_said(session, d)}"
            out.print(told, markup=False)
        if not cancelled:
            out.print(f"{project} {version}: nothing is open", markup=False)

    session.answer([deployment_document(d) for d in cancelled], show)


@release.command("list", epilog="Example:  deployengine release list --project app-001")
@click.option("--project", type=NAME, help="Only of this project.")
@click.option("--limit", type=LIMIT, help="At most so many, the newest first.")
@command
def list_releases(session: Session, project: str | None, limit: int | None) -> None:
    """List releases and where they have come, the newest first."""
    found = session.services.queries.releases(project, limit)

    def show(out: Console) -> None:
        table = Table(box=None, pad_edge=False)
        for heading in ("id", "project", "version", "channel", "state", "deployed to", "created"):
            table.add_column(heading, no_wrap=heading == "id")
        for each in found:
            r = each.release
            last = {d.environment: f"{d.environment} {d.state}" for d in each.deployments}
            blocked = [_blocked(r)] if r.blocked_at is not None else []
            table.add_row(
                release_id(r.id),
                escape(r.project),
                r.version,
                escape(r.channel or ""),
                coloured(each.state),
                escape(", ".join([*last.values(), *blocked])),
                shown(r.created_at),
            )
        out.print(table)

    session.answer([release_document(each) for each in found], show)


@release.command("show", epilog="Example:  deployengine release show app-001 1.4.0")
@click.argument("project", type=NAME)
@click.argument("version", type=NAME)
@command
def show_release(session: Session, project: str, version: str) -> None:
    """Show a release, what it is made of, where it has come, and where it may go next."""
    progress = session.services.queries.release(project, version)
    found = progress.release
    may_enter = session.services.queries.may_enter(found)
    frozen = session.services.queries.packages(found)
    document = {
        **release_document(progress),
        "digest": found.digest,
        "packages": [package.to_document() for package in frozen],
        "may_enter": list(may_enter),
    }

    def show(out: Console) -> None:
        out.print(f"{document['id']}  {project} {version}: {progress.state}", markup=False)
        _show_packages(out, frozen)
        for d in progress.deployments:
            note = f"  ({said})" if (said := remark(d)) else ""
            out.print(f"  {deployment_id(d.id)}  {d.environment}: {d.state}{note}", markup=False)
        if found.blocked_at is not None:
            out.print(f"  {_blocked(found)}", markup=False)
        if may_enter:
            out.print(f"  may be deployed to {', '.join(may_enter)}", markup=False)

    session.answer(document, show)
