"""Packages as commands give and show them."""

from __future__ import annotations

import pytest

from tests.acceptance.catalogs import catalog
from tests.cli.conftest import Say
from tests.support.fakes import House
from tests.support.packages import zip_of

STEP = {"name": "Web", "kind": "package", "package": "shop", "feed": "releases"}


@pytest.fixture(autouse=True)
def applied(house: House) -> House:
    feed = house.settings.home / "feed"
    feed.mkdir()
    for version in ("1.0", "1.10"):
        zip_of(feed / f"shop.{version}.zip", {"deploy.sh": "true\n", "version": version})
    (feed / "shop.0.9.zip").write_bytes(b"half a")
    house.apply(
        catalog(
            {"name": "web", "lifecycle": "auto", "process": [STEP]},
            feeds=[{"name": "releases", "url": "feed"}],
        )
    )
    return house


def test_the_packages_of_a_release_are_said_and_shown(say: Say) -> None:
    told = say("release", "create", "web", "1", "--package", " shop = 1.0 ").out
    assert told.startswith("rel-1  web 1: created\n  shop 1.0 (shop.1.0.zip of releases, ")
    (package,) = say("release", "create", "web", "2", "--json").document["packages"]
    assert package["version"] == "1.10"
    assert say("release", "show", "web", "2", "--json").document["packages"] == [package]
    assert f"SHA-256 {package['sha256']}" in say("release", "show", "web", "2").out


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["shop"], "'shop' should be NAME=VERSION, as shop=1.4.0"),
        (["shop=newest"], "'newest' is no version of a package"),
        (["a/b=1"], "'a/b' is no name of a package"),
        (["shop=1.0", "shop=1.10"], "package shop is named twice"),
        (["shpo=1.0"], "there is no package of web 'shpo'; did you mean 'shop'?"),
        (["shop=7.0"], "feed releases has no package shop 7.0"),
        (["shop=0.9"], "shop.0.9.zip: the package is damaged, or not what its name says"),
    ],
)
def test_what_is_wrong_with_a_package_is_told_in_a_line_or_two(
    say: Say, said: list[str], told: str
) -> None:
    options = [word for each in said for word in ("--package", each)]
    err = say("release", "create", "web", "1", *options, code=2).err
    assert told in err
    assert "Traceback" not in err
    assert say("release", "list", "--json").document == []


def test_a_batch_says_packages_and_tells_of_each_row_that_is_wrong(house: House, say: Say) -> None:
    path = house.settings.home / "batch.csv"
    path.write_text("project,version,packages\nweb,1,shop=1.0\nweb,2,shop=7.0\nweb,3,shop\n")
    err = say("batch", "run", str(path), code=2).err
    assert ":3: " in err
    assert "no package shop 7.0" in err
    assert ":4: 'shop' should be NAME=VERSION" in err
    path.write_text("project,version,packages\nweb,1,shop=1.0\n")
    say("batch", "run", str(path))
    (package,) = say("release", "show", "web", "1", "--json").document["packages"]
    assert package["version"] == "1.0"
