"""Packages on live workers: from a folder and from a web server, to thirty machines and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.catalogs import catalog, machine
from tests.support.engine import LiveEngine, until
from tests.support.packages import WebFeed, zip_of

MACHINES = [f"prod-{n:02}" for n in range(1, 31)]
DEPLOY = """\
#!/bin/sh
echo "$DEPLOYENGINE_PACKAGE_VERSION" >> ../../../../deployed
cat app.conf
"""


def shop(url: str, **feed: Any) -> dict[str, Any]:
    step = {
        "name": "Web", "kind": "package", "package": "shop", "feed": "releases", "keep": 1,
        "substitute": ["app.conf"], "roles": ["web"],
    }  # fmt: skip
    variables = [
        {"name": "Port", "value": "80"},
        {"name": "Token", "value": "s3cret-t0ken", "sensitive": True},
    ]
    return catalog(
        {"name": "shop", "lifecycle": "auto", "variables": variables, "process": [step]},
        environments=["QA", "Production"],
        machines=[machine("qa-1", "QA"), machine("prod-[01:30]", "Production")],
        lifecycles=[
            {
                "name": "auto",
                "phases": [{"name": e, "automatic": [e]} for e in ("QA", "Production")],
            }
        ],
        feeds=[{"name": "releases", "url": url, **feed}],
    )


def publish(folder: Path, version: str) -> None:
    files = {
        "deploy.sh": DEPLOY,
        "app.conf": "#{Octopus.Machine.Name} #{Port} #{Token}\n",
        "content": version,
    }
    zip_of(folder / f"shop.{version}.zip", files)


@contextmanager
def feed_of(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    if kind == "folder":
        yield shop(str(folder))
        return
    with WebFeed(folder) as web:
        web.lists = False
        yield shop(web.url, pattern="{name}.{version}.zip")


def deployed(engine: LiveEngine, name: str) -> list[str]:
    return (engine.home / "machines" / name / "deployed").read_text().split()


def in_use(engine: LiveEngine, name: str) -> Path:
    return engine.home / "machines" / name / "packages/shop/current"


def brought(engine: LiveEngine) -> int:
    """How often a package was brought to a machine, as the runs themselves have said."""
    texts = (
        "".join(text for _, text in engine.services.queries.output(run.id))
        for deployment in engine.deployments()
        for run in engine.detail(deployment.id).runs
        if run.lock_mode == "none"
    )
    return sum(" brought to " in text for text in texts)


@pytest.mark.parametrize("kind", ["folder", "web"])
def test_a_release_goes_to_thirty_machines_and_back_in_one_command(
    kind: str, tmp_path: Path
) -> None:
    with feed_of(kind, tmp_path) as what, LiveEngine() as engine:
        engine.apply(what)
        engine.worker(task_cap=8)
        for version in ("1.0", "1.1", "1.2"):
            publish(tmp_path, version)
            made = engine.json("release", "create", "shop", version, "--package", f"shop={version}")
            assert [package["version"] for package in made["packages"]] == [version]
            await_production(engine, version)
        for name in MACHINES:
            assert deployed(engine, name) == ["1.0", "1.1", "1.2"]
            conf = (in_use(engine, name) / "app.conf").read_text()
            assert conf == f"{name} 80 s3cret-t0ken\n"
            kept = sorted(p.name for p in (in_use(engine, name).parent / "releases").iterdir())
            assert [each.partition("-")[0] for each in kept] == ["1.1", "1.2"]
        assert brought(engine) == 3 * 31

        for file in tmp_path.iterdir():
            file.unlink()
        was = {name: os.readlink(in_use(engine, name)) for name in MACHINES}
        back = engine.cli("release", "rollback", "shop", "Production", "--wait")
        assert back.code == 0, back.err
        for name in MACHINES:
            assert os.readlink(in_use(engine, name)).startswith("releases/1.1-")
            assert os.readlink(in_use(engine, name)) != was[name]
            assert deployed(engine, name)[-1] == "1.1"
        assert brought(engine) == 3 * 31
        assert "s3cret-t0ken" not in engine.logs()


def await_production(engine: LiveEngine, version: str) -> None:
    """Until the release has gone all its way by itself."""
    wanted = [("QA", "succeeded"), ("Production", "succeeded")]

    def there() -> list[tuple[str, str]]:
        found = engine.services.queries.release("shop", version).deployments
        return [(d.environment, d.state.value) for d in found]

    until(lambda: there() == wanted, f"shop {version} on all machines", timeout=180)


def test_a_worker_that_is_killed_while_packages_come_leaves_none_out_and_brings_none_twice(
    tmp_path: Path,
) -> None:
    publish(tmp_path, "1.0")
    with feed_of("folder", tmp_path) as what, LiveEngine(DEPLOYENGINE_LEASE="2") as engine:
        engine.apply(what)
        engine.json("release", "create", "shop", "1.0")
        first = engine.worker(task_cap=2)
        store = engine.home / "tickets"
        until(lambda: len(list(store.glob("prod-*/.packages/*"))) > 5, "some packages")
        first.kill()
        engine.worker(task_cap=8)
        await_production(engine, "1.0")
        for name in MACHINES:
            assert deployed(engine, name) == ["1.0"]
            left = [path.name for path in (store / name / ".packages").iterdir() if path.is_file()]
            assert len(left) == 1
        attempts = [
            run.attempt
            for deployment in engine.deployments()
            for run in engine.detail(deployment.id).runs
        ]
        assert set(attempts) == {1}
