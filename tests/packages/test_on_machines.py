"""A package on its whole way to a machine and back, for every way to a machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployengine.domain.package import Package
from deployengine.packages.archives import repack
from deployengine.packages.configuration import Configuration, ConfiguredFile
from deployengine.packages.recipe import Installation, script
from deployengine.steps.contract import Lock, Runner, Work
from tests.packages.test_recipe import NOTES, fingerprint
from tests.steps.conftest import IMPLEMENTATIONS, begin, end, fresh, workdir
from tests.support.packages import zip_of

__all__ = ["fresh", "workdir"]


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


def test_it_comes_is_brought_into_use_and_goes_back(
    runner: Runner, workdir: Path, tmp_path: Path, fresh: Callable[..., Work]
) -> None:
    def deploy(version: str, fence: int) -> dict[str, str]:
        package = delivered(runner, tmp_path, version)
        files = (ConfiguredFile("app.conf", 0o600, f"for {version} ünd".encode()),)
        text = script(Installation(package, Configuration(files), "apps/shop", 1), fingerprint)
        locks = (Lock("machine:m", exclusive=True),)
        ticket = begin(runner, fresh(text, fence=fence, locks=locks))
        status = end(ticket)
        assert status.exit_code == 0, ticket.output(0)
        outputs = ticket.outputs()
        ticket.clean()
        return outputs

    versions = ("1.0", "1.1", "1.0")
    for fence, version in enumerate(versions, 1):
        outputs = deploy(version, fence)
        current = workdir / "apps/shop/current"
        assert os.readlink(current).startswith(f"releases/{version}-")
        assert outputs["Package.Version"] == version
        assert Path(outputs["Package.InstallationDirectoryPath"]) == current.resolve()
        assert (current / "app.conf").read_bytes() == f"for {version} ünd".encode()
        assert (current / "where").read_text() == str(current.resolve())
    journal = (workdir / "journal").read_text().split()
    assert [journal[n] for n in (2, 5, 8)] == list(versions)


def delivered(runner: Runner, folder: Path, version: str) -> Package:
    """A package that has come to the machine, if it was not there."""
    where = "get_variable Octopus.Action.Package.InstallationDirectoryPath > where\n"
    files = {"deploy.sh": NOTES, "post_deploy.sh": where, "app.conf": "old", "version": version}
    source = zip_of(folder / f"shop.{version}.zip", files)
    digest = repack(source, source.name, folder / "archive")
    runner.deliver(folder / "archive", digest)
    return Package("shop", version, "releases", source.name, 1, "0" * 64, digest)
