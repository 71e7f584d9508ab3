"""What a worker has at hand, and who else asks for it meanwhile."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from deployengine.packages import canonical
from deployengine.packages.cache import PackageCache
from deployengine.packages.contents import Limits
from deployengine.packages.errors import (
    BadArchive,
    HalfAFile,
    NoRoom,
    PackageChanged,
    TooLarge,
)
from deployengine.packages.feeds import Feed, Source
from tests.steps.disks import small_disk
from tests.support.packages import WebFeed, zip_of


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebFeed]:
    folder = tmp_path / "feed"
    folder.mkdir()
    zip_of(folder / "shop.1.0.zip", {"deploy.sh": "echo hi\n"})
    with WebFeed(folder) as server:
        yield server


PATTERN = "{name}.{version}.zip"


def feed_of(url: str) -> Feed:
    return Feed(Source("releases", url, Path("/nowhere"), PATTERN))


@pytest.fixture
def feed(web: WebFeed) -> Feed:
    return feed_of(web.url)


@pytest.fixture
def cache(tmp_path: Path) -> PackageCache:
    return PackageCache(tmp_path / "packages")


def test_a_package_is_frozen_with_all_that_tells_it_from_another(
    cache: PackageCache, feed: Feed, web: WebFeed
) -> None:
    package = cache.look_up(feed, "shop", "1.0")
    content = (web.folder / "shop.1.0.zip").read_bytes()
    assert package.sha256 == hashlib.sha256(content).hexdigest()
    assert (package.file, package.size) == ("shop.1.0.zip", len(content))
    assert (package.name, package.version, package.feed) == ("shop", "1.0", "releases")
    archive = cache.ensure(package, feed)
    assert canonical.digest_of(archive) == package.digest


def test_it_is_downloaded_once_however_often_it_is_asked_for(
    cache: PackageCache, feed: Feed, web: WebFeed
) -> None:
    package = cache.look_up(feed, "shop", "1.0")
    assert cache.look_up(feed, "shop", "1.0") == package
    cache.ensure(package, feed)
    assert web.fetched("shop.1.0.zip") == 1


def test_it_is_downloaded_once_by_many_threads(
    cache: PackageCache, feed: Feed, web: WebFeed
) -> None:
    web.instead["shop.1.0.zip"] = web.slow(0.1)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: cache.look_up(feed, "shop", "1.0"), range(8)))
    assert len(set(found)) == 1
    assert web.fetched("shop.1.0.zip") == 1


def test_it_is_downloaded_once_by_many_processes(tmp_path: Path, web: WebFeed) -> None:
    web.instead["shop.1.0.zip"] = web.slow(0.1)
    with ProcessPoolExecutor(4, get_context("spawn")) as processes:
        given = [(tmp_path / "packages", web.url)] * 4
        assert len(set(processes.map(_look_up, given))) == 1
    assert web.fetched("shop.1.0.zip") == 1


def _look_up(given: tuple[Path, str]) -> str:
    folder, url = given
    return PackageCache(folder).look_up(feed_of(url), "shop", "1.0").digest


def test_another_file_of_the_same_version_is_another_package(
    cache: PackageCache, feed: Feed, web: WebFeed
) -> None:
    before = cache.look_up(feed, "shop", "1.0")
    zip_of(web.folder / "shop.1.0.zip", {"deploy.sh": "echo other\n"})
    after = cache.look_up(feed, "shop", "1.0")
    assert after.sha256 != before.sha256
    assert after.digest != before.digest


def test_a_release_gets_what_it_has_frozen_or_nothing(
    cache: PackageCache, feed: Feed, web: WebFeed, tmp_path: Path
) -> None:
    package = cache.look_up(feed, "shop", "1.0")
    zip_of(web.folder / "shop.1.0.zip", {"deploy.sh": "echo other\n"})
    assert cache.ensure(package, feed).exists()  # it is still at hand here
    elsewhere = PackageCache(tmp_path / "other")
    with pytest.raises(PackageChanged, match=package.sha256) as refused:
        elsewhere.ensure(package, feed)
    assert "shop 1.0" in str(refused.value)


def test_the_same_content_packed_anew_is_not_what_was_frozen(
    cache: PackageCache, feed: Feed, web: WebFeed, tmp_path: Path
) -> None:
    package = cache.look_up(feed, "shop", "1.0")
    zip_of(web.folder / "shop.1.0.zip", {"deploy.sh": "echo hi\n"}, compression=zipfile.ZIP_STORED)
    elsewhere = PackageCache(tmp_path / "other")
    with pytest.raises(PackageChanged):
        elsewhere.ensure(package, feed)
    assert elsewhere.look_up(feed, "shop", "1.0").digest == package.digest


def test_what_is_at_hand_needs_no_feed(cache: PackageCache, feed: Feed, tmp_path: Path) -> None:
    package = cache.look_up(feed, "shop", "1.0")
    gone = feed_of((tmp_path / "gone").as_uri())
    assert cache.ensure(package, gone).exists()


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"]


def test_half_a_file_leaves_nothing_behind_and_the_next_try_is_whole(
    cache: PackageCache, feed: Feed, web: WebFeed, tmp_path: Path
) -> None:
    found = feed.find("shop", "1.0")
    assert found.stamp
    web.instead["shop.1.0.zip"] = web.half
    with pytest.raises(HalfAFile):
        cache.look_up(feed, "shop", "1.0")
    assert left(tmp_path / "packages") == []
    web.instead.clear()
    assert cache.look_up(feed, "shop", "1.0").size == found.size


def test_a_wicked_package_leaves_nothing_behind(
    cache: PackageCache, feed: Feed, web: WebFeed, tmp_path: Path
) -> None:
    zip_of(web.folder / "shop.1.0.zip", {"../deploy.sh": "x"})
    with pytest.raises(BadArchive):
        cache.look_up(feed, "shop", "1.0")
    assert left(tmp_path / "packages") == []


def test_a_download_beyond_the_limit_ends_before_it_is_over(tmp_path: Path, feed: Feed) -> None:
    cache = PackageCache(tmp_path / "packages", Limits(packed=20))
    with pytest.raises(TooLarge, match="more than 20 bytes"):
        cache.look_up(feed, "shop", "1.0")


def test_a_download_without_end_is_ended(tmp_path: Path, feed: Feed, web: WebFeed) -> None:
    sent = web.endless("shop.1.0.zip", most=200)
    with pytest.raises(TooLarge, match="more than 1000000 bytes"):
        PackageCache(tmp_path / "packages", Limits(packed=1_000_000)).look_up(feed, "shop", "1.0")
    # It is asked for its size, and then for itself.
    assert max(sent.get(timeout=20) for _ in range(2)) < 200
    assert left(tmp_path / "packages") == []


def test_a_full_disk_is_told_as_such(feed: Feed, web: WebFeed, tmp_path: Path) -> None:
    zip_of(web.folder / "shop.1.0.zip", {"a": os.urandom(300_000)})
    with small_disk(tmp_path / "packages") as disk:
        with pytest.raises(NoRoom, match="no room for the package") as refused:
            PackageCache(disk).look_up(feed, "shop", "1.0")
        assert str(disk) in str(refused.value)
        assert left(disk) == []


def used(path: Path, ago: timedelta) -> None:
    moment = time.time() - ago.total_seconds()
    os.utime(path, (moment, moment))


def test_what_was_not_used_for_long_goes(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path, kept_for=timedelta(days=5))
    for name, days in (("old", 6), ("new", 4)):
        (tmp_path / "archives").mkdir(exist_ok=True)
        (tmp_path / "archives" / name).write_bytes(b"x")
        used(tmp_path / "archives" / name, timedelta(days=days))
    cache.prune()
    assert cache.archive("old") is None
    assert cache.archive("new") is not None


def test_of_too_much_the_longest_unused_goes_but_nothing_that_is_in_use(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path, kept_bytes=25)
    (tmp_path / "archives").mkdir()
    for name, hours in (("a", 4), ("b", 3), ("c", 2), ("now", 0), ("just", 0.5)):
        (tmp_path / "archives" / name).write_bytes(bytes(10))
        used(tmp_path / "archives" / name, timedelta(hours=hours))
    cache.archive("a")
    cache.prune()
    assert sorted(path.name for path in (tmp_path / "archives").iterdir()) == ["a", "just", "now"]


def test_what_a_killed_process_left_half_done_goes_after_a_day(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path)
    for name, hours in (("old", 25), ("new", 1)):
        (tmp_path / "new" / name).mkdir(parents=True)
        used(tmp_path / "new" / name, timedelta(hours=hours))
    cache.prune()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["new"]
