"""``release``: create, deploy, show."""

from __future__ import annotations

import click
from rich.console import Console

from deployengine.cli.deployment_view import follow, show_deployment
from deployengine.cli.documents import deployment_document, detail_document, release_document
from deployengine.cli.session import Session, command
from deployengine.domain.identity import deployment_id, release_id
from deployengine.engine.releases import Wanted


@click.group()
def release() -> None:
    """Create, deploy and look at releases."""


@release.command("create", epilog="Example:  deployengine release create app-001 1.4.0")
@click.argument("project")
@click.argument("version")
@click.option("--channel", help="The channel that picks the lifecycle.")
@command
def create(session: Session, project: str, version: str, channel: str | None) -> None:
    """Freeze PROJECT as release VERSION; an automatic first phase starts at once."""
    created = session.services.releases.create(Wanted(project, version, channel))
    document = {
        "id": release_id(created.release.id),
        "project": created.release.project,
        "version": created.release.version,
        "channel": created.release.channel,
        "digest": created.release.digest,
        "created": created.new,
        "deployments": [deployment_document(d) for d in created.deployments],
    }

    def show(out: Console) -> None:
        made = "created" if created.new else "exists already, unchanged"
        out.print(f"{document['id']}  {project} {version}: {made}", markup=False)
        for d in created.deployments:
            out.print(f"{deployment_id(d.id)}  → {d.environment}: {d.state}", markup=False)

    session.answer(document, show)


@release.command(
    "deploy", epilog="Example:  deployengine release deploy app-001 1.4.0 Staging --wait"
)
@click.argument("project")
@click.argument("version")
@click.argument("environment")
@click.option("--wait", is_flag=True, help="Wait for the end; exit 1 unless it succeeds.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Give up waiting after SECONDS.")
@command
def deploy(
    session: Session,
    project: str,
    version: str,
    environment: str,
    wait: bool,
    timeout: float | None,
) -> int:
    """Deploy a release to ENVIRONMENT, if its lifecycle lets it in."""
    deployment = session.services.deployments.deploy(project, version, environment)
    if not wait:
        session.answer(
            deployment_document(deployment),
            lambda out: out.print(
                f"{deployment_id(deployment.id)}  {project} {version} → {environment}: "
                f"{deployment.state}",
                markup=False,
            ),
        )
        return 0
    detail = follow(session, deployment.id, timeout)
    session.answer(detail_document(detail), lambda out: show_deployment(out, detail))
    return 0 if detail.deployment.state == "succeeded" else 1


@release.command("show", epilog="Example:  deployengine release show app-001 1.4.0")
@click.argument("project")
@click.argument("version")
@command
def show_release(session: Session, project: str, version: str) -> None:
    """Show a release and where it has come."""
    progress = session.services.queries.release(project, version)
    document = {**release_document(progress), "digest": progress.release.digest}

    def show(out: Console) -> None:
        out.print(f"{document['id']}  {project} {version}: {progress.state}", markup=False)
        for d in progress.deployments:
            note = f"  ({d.message})" if d.message else ""
            out.print(f"  {deployment_id(d.id)}  {d.environment}: {d.state}{note}", markup=False)

    session.answer(document, show)
