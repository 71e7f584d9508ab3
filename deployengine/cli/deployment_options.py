"""Options that all commands have which ask for a deployment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TextIO, TypeVar

import click

from deployengine.cli.deployment_view import follow, remark, show_deployment, without
from deployengine.cli.documents import deployment_document, detail_document
from deployengine.cli.moments import Moment, moved
from deployengine.cli.prompted_values import prompted_values
from deployengine.cli.session import Session
from deployengine.domain.identity import deployment_id
from deployengine.engine.intake import Terms
from deployengine.persistence.records import DeploymentRecord

F = TypeVar("F", bound=Callable[..., Any])


def terms_options(function: F) -> F:
    """``--at``, ``--expires``, ``--priority``, ``--guided``, ``--override-freeze``."""
    options = (
        click.option("--at", type=Moment(), help="Begin then: 2026-12-01T18:00 (local) or +30m."),
        click.option("--expires", type=Moment(), help="Do not begin any more after that."),
        click.option(
            "--priority",
            type=click.IntRange(-5, 5),
            help="0 is that of any other; from 1 on it goes before what waits.",
        ),
        click.option(
            "--guided/--no-guided",
            default=None,
            help="Whether failures ask a person; else as project and environment say.",
        ),
        click.option("--override-freeze", metavar="REASON", help="Begin although it is frozen."),
        click.option(
            "--variable",
            "variables",
            multiple=True,
            metavar="NAME=VALUE",
            help="The value of a prompted variable; repeatable. Not for secrets.",
        ),
        click.option(
            "--variable-file",
            type=click.File("r", encoding="utf-8"),
            metavar="FILE",
            help="Values of prompted variables, secrets too: a mapping in YAML; - is stdin.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def terms_of(
    session: Session,
    at: datetime | timedelta | None,
    expires: datetime | timedelta | None,
    priority: int | None,
    guided: bool | None,
    override_freeze: str | None,
    variables: tuple[str, ...],
    variable_file: TextIO | None,
) -> Terms:
    """What the options of :func:`terms_options` say."""

    def instant(moment: datetime | timedelta | None) -> datetime | None:
        if isinstance(moment, timedelta):
            return moved(session.services.clock.now(), moment)
        return moment

    return Terms(
        priority=priority,
        guided=guided,
        requested_by=session.user,
        not_before=instant(at),
        expires_at=instant(expires),
        override_freeze=override_freeze,
        values=prompted_values(variables, variable_file),
    )


def told(session: Session, deployment: DeploymentRecord, wait: bool, timeout: float | None) -> int:
    """Answers with a deployment that was asked for, at once or when it has ended."""
    d = deployment
    if d.without:
        session.say(f"warning: {without(d)}: each gets the release once it is enabled and healthy")
    if not wait:
        when = f", {said}" if (said := remark(d)) else ""
        session.answer(
            deployment_document(d),
            lambda out: out.print(
                f"{deployment_id(d.id)}  {d.project} {d.version} → {d.environment}: "
                f"{d.state}{when}",
                markup=False,
            ),
        )
        return 0
    detail = follow(session, d.id, timeout)
    session.answer(detail_document(detail), lambda out: show_deployment(out, detail))
    return 0 if detail.deployment.state == "succeeded" else 1
