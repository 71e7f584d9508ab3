"""Releases: what makes two of them the same, and what a release number may look like."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.domain.lifecycle import Lifecycle, Phase
from deployengine.domain.release import BadVersion, Snapshot, check_version

LIFECYCLE = Lifecycle("auto", (Phase("QA", ("QA",)),))
SECRET = {"name": "Token", "value": {"cipher": "c1", "mac": "m1"}, "sensitive": True, "scope": {}}


def snapshot(
    version: str = "1.0",
    channel: str | None = None,
    lifecycle: Lifecycle = LIFECYCLE,
    sets: list[Any] | None = None,
    **project: Any,
) -> Snapshot:
    document = {
        "name": "app",
        "variables": [SECRET],
        "process": [{"name": "Install", "script": "true"}],
        **project,
    }
    return Snapshot.freeze(document, version, channel, lifecycle, sets or [])


def secret(cipher: str, mac: str) -> dict[str, Any]:
    return {**SECRET, "value": {"cipher": cipher, "mac": mac}}


def test_freezing_the_same_twice_gives_the_same_digest() -> None:
    assert snapshot().digest == snapshot().digest
    assert len(snapshot().digest) == 64


def test_the_order_of_keys_is_no_content() -> None:
    reversed_ = dict(reversed(list(SECRET.items())))
    assert snapshot(variables=[reversed_]).digest == snapshot().digest


def test_the_same_secret_sealed_again_is_the_same_release() -> None:
    assert snapshot(variables=[secret("c2", "m1")]).digest == snapshot().digest


def test_another_secret_is_another_release() -> None:
    assert snapshot(variables=[secret("c1", "m2")]).digest != snapshot().digest


def test_the_ciphers_of_sets_are_left_out_as_well_and_their_macs_are_not() -> None:
    def of(cipher: str, mac: str) -> str:
        return snapshot(sets=[{"name": "S", "variables": [secret(cipher, mac)]}]).digest

    assert of("c1", "m1") == of("c2", "m1") != of("c1", "m2")


@pytest.mark.parametrize(
    "other",
    [
        snapshot(version="1.1"),
        snapshot(channel="hotfix"),
        snapshot(name="shop"),
        snapshot(process=[{"name": "Install", "script": "false"}]),
        snapshot(lifecycle=Lifecycle("auto", (Phase("QA", (), ("QA",)),))),
        snapshot(sets=[{"name": "S", "variables": []}]),
        snapshot(variables=[]),
    ],
    ids=["version", "channel", "project", "process", "lifecycle", "sets", "variables"],
)
def test_everything_that_is_frozen_counts(other: Snapshot) -> None:
    assert other.digest != snapshot().digest


def test_the_order_of_included_sets_counts() -> None:
    one, two = {"name": "one", "variables": []}, {"name": "two", "variables": []}
    assert snapshot(sets=[one, two]).digest != snapshot(sets=[two, one]).digest


def test_what_a_project_has_beside_its_releases_does_not_count() -> None:
    assert snapshot(channels=[{"name": "x", "lifecycle": "y"}]).digest == snapshot().digest


def test_a_snapshot_reads_back_what_it_froze() -> None:
    frozen = snapshot(channel="hotfix", sets=[{"name": "S", "variables": [SECRET]}])
    assert (frozen.project, frozen.version, frozen.channel) == ("app", "1.0", "hotfix")
    assert frozen.lifecycle == LIFECYCLE
    assert [step.name for step in frozen.process] == ["Install"]
    assert [source.label for source in frozen.sources] == ["project app", "variable set S"]
    assert Snapshot(frozen.document).digest == frozen.digest


@pytest.mark.parametrize(
    "version", ["1", "1.4.0", "2024.10.1-rc.1+build_7", "A", "0", "v1.2", "1" * 128]
)
def test_a_release_number_is_letters_digits_and_a_few_signs(version: str) -> None:
    assert check_version(f"  {version}\n") == version


@pytest.mark.parametrize(
    "version",
    [
        "",
        " ",
        ".1",
        "-1",
        "1 0",
        "1/0",
        "1;rm",
        "ä1",
        "1\n2",
        "1" * 129,
        "#{x}",
        "latest",
        "Latest",
    ],
)
def test_anything_else_is_refused_and_quoted(version: str) -> None:
    with pytest.raises(BadVersion) as refused:
        check_version(version)
    assert repr(version.strip()) in str(refused.value)
