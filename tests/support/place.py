"""A place in which variables are resolved, with something of each kind of scope in it."""

from __future__ import annotations

from deployengine.domain.variables import Context

HERE = Context(
    environment="Production",
    machine="prod-01",
    roles=("web", "db"),
    channel="auto",
    step="Install",
    tenant="acme",
    phase="Live",
)

#: What each kind of scope must name to match HERE.
MATCHING = {
    "steps": "Install",
    "machines": "prod-01",
    "roles": "web",
    "tenants": "acme",
    "environments": "Production",
    "channels": "auto",
    "phases": "Live",
}
