"""Feeds in folders and on a real web server, well and ill."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.callbacks import Callback

from deployengine.packages.errors import (
    FeedUnreachable,
    HalfAFile,
    LoginRefused,
    MissingExtra,
    NoSuchPackage,
    PackageError,
    VersionsUnknown,
)
from deployengine.packages.feeds import Feed, Source
from deployengine.packages.remote import RemoteStore
from deployengine.packages.store import ignore
from tests.support.packages import WebFeed, zip_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "feed"
    folder.mkdir()
    return folder


@pytest.fixture
def web(folder: Path) -> Iterator[WebFeed]:
    with WebFeed(folder) as server:
        yield server


def feed(url: str | Path, home: Path = Path("/nowhere"), **more: object) -> Feed:
    return Feed(Source("releases", str(url), home, **more))  # type: ignore[arg-type]


def published(folder: Path, *files: str) -> None:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        zip_of(path, {"version": name})


@pytest.mark.parametrize(
    "file", ["shop.1.2.zip", "shop-1.2.tar.gz", "shop/1.2/anything.nupkg", "Shop.1.2.zip"]
)
def test_a_package_is_found_however_feeds_lay_them_out(file: str, folder: Path) -> None:
    published(folder, file, "shop.1.20.zip", "shop-web.1.2.zip", "README.txt")
    assert feed(folder).find("shop", "1.2").path == file


def test_a_folder_may_be_given_as_a_url_or_within_the_home(folder: Path, tmp_path: Path) -> None:
    published(folder, "shop.1.2.zip")
    assert feed(folder.as_uri()).find("shop", "1.2").path == "shop.1.2.zip"
    assert feed("feed", home=tmp_path).find("shop", "1.2").path == "shop.1.2.zip"


def test_versions_are_told_of_files_and_folders(folder: Path) -> None:
    published(folder, "shop.1.2.zip", "shop-1.3.zip", "shop/2.0/x.zip", "shop/notes/x.zip")
    assert sorted(feed(folder).versions("shop")) == ["1.2", "1.3", "2.0"]
    assert feed(folder).versions("other") == []


def test_a_pattern_says_where_a_package_is_and_which_versions_there_are(folder: Path) -> None:
    published(folder, "shop/1.2/shop_1.2_all.zip", "shop/1.3/shop_1.3_all.zip", "shop/x.zip")
    of = feed(folder, pattern="{name}/{version}/{name}_{version}_all.zip")
    assert of.find("shop", "1.2").file == "shop_1.2_all.zip"
    assert sorted(of.versions("shop")) == ["1.2", "1.3"]
    flat = feed(folder / "shop/1.3", pattern="{name}_{version}_all.zip")
    assert flat.versions("shop") == ["1.3"]


def test_what_is_not_there_is_told_with_the_feeds_name(folder: Path) -> None:
    with pytest.raises(NoSuchPackage, match="feed releases has no package shop 9"):
        feed(folder).find("shop", "9")
    with pytest.raises(NoSuchPackage, match=r"there is no such file"):
        feed(folder, pattern="{name}.{version}.zip").find("shop", "9")


def test_what_is_published_or_removed_just_now_keeps_nobody_from_the_rest(folder: Path) -> None:
    published(folder, "shop.1.2.zip")
    (folder / "latest.zip").symlink_to(folder / "shop.9.9.zip")
    assert feed(folder).find("shop", "1.2").path == "shop.1.2.zip"


def test_a_package_that_is_there_twice_is_a_question(folder: Path) -> None:
    published(folder, "shop.1.2.zip", "shop-1.2.tar.gz")
    with pytest.raises(PackageError, match=r"more than once: shop-1\.2\.tar\.gz, shop\.1\.2\.zip"):
        feed(folder).find("shop", "1.2")


def test_a_feed_whose_folder_is_gone_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(FeedUnreachable, match="there is no such folder"):
        feed(tmp_path / "gone").find("shop", "1")


@pytest.mark.parametrize("name", ["../shop", "a/b", ""])
def test_no_name_leads_out_of_a_feed(name: str, folder: Path) -> None:
    published(folder.parent, "shop.1.zip")
    with pytest.raises(PackageError, match="no name of a package"):
        feed(folder).find(name, "1")


@pytest.mark.parametrize("version", ["../1", "1/../..", "latest", ""])
def test_no_version_leads_out_of_a_feed(version: str, folder: Path) -> None:
    with pytest.raises(PackageError, match="no version of a package"):
        feed(folder, pattern="{version}/x.zip").find("shop", version)


def test_what_comes_is_what_is_there_and_the_stamp_changes_with_it(
    folder: Path, tmp_path: Path
) -> None:
    published(folder, "shop.1.2.zip")
    of = feed(folder)
    before = of.find("shop", "1.2")
    came: list[tuple[int, int | None]] = []
    of.fetch(before, tmp_path / "new", lambda *told: came.append(told))
    whole = (folder / "shop.1.2.zip").read_bytes()
    assert (tmp_path / "new").read_bytes() == whole
    assert came[-1] == (len(whole), len(whole))
    zip_of(folder / "shop.1.2.zip", {"other": "content"})
    assert of.find("shop", "1.2").stamp != before.stamp


def test_a_file_that_is_cut_while_it_is_read_is_half_a_file(folder: Path, tmp_path: Path) -> None:
    path = folder / "shop.1.2.zip"
    path.write_bytes(bytes(3 << 20))
    of = feed(folder)
    with pytest.raises(HalfAFile, match="has 3145728 bytes, and 2097152 came"):
        of.fetch(of.find("shop", "1.2"), tmp_path / "new", lambda *_: os.truncate(path, 2 << 20))


def test_a_login_within_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(PackageError) as refused:
        feed("https://eve:s3cret@example.com/feed")
    assert "s3cret" not in str(refused.value)


def test_a_source_hides_its_password() -> None:
    assert "s3cret" not in repr(Source("a", "b", Path(), password="s3cret"))


# ---- on a web server ----


def test_a_web_server_that_lists_its_files_needs_no_pattern(web: WebFeed, tmp_path: Path) -> None:
    published(web.folder, "shop.1.2.zip", "shop.1.3+5.zip", "shop/2.0/shop.zip")
    of = feed(web.url)
    assert sorted(of.versions("shop")) == ["1.2", "1.3+5", "2.0"]
    for version, path in (("1.3+5", "shop.1.3+5.zip"), ("2.0", "shop/2.0/shop.zip")):
        found = of.find("shop", version)
        of.fetch(found, tmp_path / version, ignore)
        assert (tmp_path / version).read_bytes() == (web.folder / path).read_bytes()
        assert found.stamp


def test_one_that_does_not_needs_one(web: WebFeed, tmp_path: Path) -> None:
    published(web.folder, "shop.1.2.zip")
    web.lists = False
    with pytest.raises(PackageError, match="give it a pattern"):
        feed(web.url).find("shop", "1.2")
    of = feed(web.url, pattern="{name}.{version}.zip")
    of.fetch(of.find("shop", "1.2"), tmp_path / "new", ignore)
    with pytest.raises(VersionsUnknown, match="--package shop=VERSION"):
        of.versions("shop")


def test_what_a_web_server_does_not_have_is_told(web: WebFeed) -> None:
    of = feed(web.url, pattern="{name}.{version}.zip")
    with pytest.raises(NoSuchPackage, match=r"no such file \(404\)"):
        of.find("shop", "9")


def test_half_a_file_is_told_as_such(web: WebFeed, tmp_path: Path) -> None:
    published(web.folder, "shop.1.2.zip")
    of = feed(web.url, pattern="{name}.{version}.zip")
    found = of.find("shop", "1.2")
    web.instead["shop.1.2.zip"] = web.half
    with pytest.raises(HalfAFile, match="broke before the whole package"):
        of.fetch(found, tmp_path / "new", ignore)


def test_a_server_that_stops_sending_is_not_waited_for(web: WebFeed, tmp_path: Path) -> None:
    published(web.folder, "shop.1.2.zip")
    of = feed(web.url, pattern="{name}.{version}.zip", patience=0.3)
    found = of.find("shop", "1.2")
    web.instead["shop.1.2.zip"] = web.stalled
    with pytest.raises(FeedUnreachable, match=r"stopped sending for 0\.3 s"):
        of.fetch(found, tmp_path / "new", ignore)


def test_a_slow_server_is_waited_for(web: WebFeed, tmp_path: Path) -> None:
    published(web.folder, "shop.1.2.zip")
    of = feed(web.url, pattern="{name}.{version}.zip", patience=30)
    web.instead["shop.1.2.zip"] = web.slow(0.3)
    of.fetch(of.find("shop", "1.2"), tmp_path / "new", ignore)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (403, LoginRefused, "403"),
        (500, FeedUnreachable, "answered 500"),
        (410, NoSuchPackage, "410"),
    ],
)
def test_other_answers_are_told(
    status: int, kind: type[PackageError], told: str, web: WebFeed
) -> None:
    web.instead["shop.1.2.zip"] = web.status(status)
    with pytest.raises(kind, match=told) as refused:
        feed(web.url, pattern="{name}.{version}.zip").find("shop", "1.2")
    assert "\n" not in str(refused.value)


def test_a_login_is_given_and_a_wrong_one_is_told_without_it(folder: Path) -> None:
    published(folder, "shop.1.2.zip")
    with WebFeed(folder, login=("bob", "s3crét")) as web:
        right = feed(web.url, username="bob", password="s3crét")
        assert right.find("shop", "1.2").path == "shop.1.2.zip"
        for wrong in (feed(web.url), feed(web.url, username="bob", password="gu3ss")):
            with pytest.raises(LoginRefused, match="refused the login") as refused:
                wrong.find("shop", "1.2")
            assert "gu3ss" not in str(refused.value)


def test_a_login_is_not_sent_on_to_another_server(folder: Path, tmp_path: Path) -> None:
    published(folder, "shop.1.2.zip")
    with WebFeed(folder, login=("bob", "s3cret")) as here, WebFeed(folder) as there:
        here.instead["shop.1.2.zip"] = here.elsewhere(f"{there.url}/shop.1.2.zip")
        of = feed(here.url, pattern="{name}.{version}.zip", username="bob", password="s3cret")
        of.fetch(of.find("shop", "1.2"), tmp_path / "new", ignore)
        assert set(there.logins) == {None}
        assert there.fetched("shop.1.2.zip") == 1


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(FeedUnreachable, match="can't be reached"):
        feed(f"http://127.0.0.1:{port}/").find("shop", "1.2")


def test_a_host_that_nobody_knows_is_told() -> None:
    with pytest.raises(FeedUnreachable, match=r"no host nowhere\.invalid"):
        feed("http://nowhere.invalid/").find("shop", "1.2")


# ---- elsewhere ----


def test_any_other_kind_of_url_is_left_to_its_driver(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    zip_of(tmp_path / "x.zip", {"a": "b"})
    memory.pipe_file("/packages/shop.1.2.zip", (tmp_path / "x.zip").read_bytes())
    of = feed("memory://packages")
    assert of.versions("shop") == ["1.2"]
    of.fetch(of.find("shop", "1.2"), tmp_path / "new", ignore)
    assert (tmp_path / "new").read_bytes() == (tmp_path / "x.zip").read_bytes()


def test_a_driver_that_brings_less_than_it_promised_is_not_believed(tmp_path: Path) -> None:
    class Forgetful:
        def get_file(self, _path: str, into: str, callback: Callback) -> None:
            callback.set_size(10)
            Path(into).write_bytes(b"1234567")

    with pytest.raises(HalfAFile, match="has 10 bytes, and 7 came"):
        RemoteStore("odd://feed", Forgetful()).fetch("shop.1.2.zip", tmp_path / "new", ignore)


def test_a_kind_of_url_that_nothing_reads_is_told() -> None:
    with pytest.raises(MissingExtra, match="nothing is known that reads gopher://"):
        feed("gopher://example.com/feed")


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(MissingExtra, match="pip install s3fs"):
        feed("s3://bucket/feed")
