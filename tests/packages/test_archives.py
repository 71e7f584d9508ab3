"""Packages as they are published, honest and wicked, on their way into the engine's own form."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deployengine.packages import canonical
from deployengine.packages.archives import repack
from deployengine.packages.contents import LIMITS, Limits
from deployengine.packages.errors import BadArchive, TooLarge
from tests.support.packages import member, tar_of, tar_with, zip_of

FILES = {"deploy.sh": "echo hi\n", "config/app.json": "{}", "bin/run": b"\0\1\2"}
KINDS = ["zip", "nupkg", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"]


def packed(folder: Path, kind: str, files: dict[str, str | bytes] = FILES) -> Path:
    path = folder / f"shop.1.0.{kind}"
    return zip_of(path, files) if kind in ("zip", "nupkg") else tar_of(path, files)


def into(source: Path, limits: Limits = LIMITS) -> tuple[Path, str]:
    path = source.with_name("canonical")
    return path, repack(source, source.name, path, limits)


def unpacked(source: Path, limits: Limits = LIMITS) -> Path:
    """What the machine's own tar makes of it."""
    path, _ = into(source, limits)
    folder = source.with_name("unpacked")
    folder.mkdir()
    subprocess.run(["tar", "-xzf", path, "-C", folder], check=True)
    return folder


def entries(source: Path) -> dict[str, tarfile.TarInfo]:
    path, _ = into(source)
    with tarfile.open(path) as archive:
        return {entry.name: entry for entry in archive}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_package_unpacks_to_what_was_packed(kind: str, tmp_path: Path) -> None:
    folder = unpacked(packed(tmp_path, kind))
    assert (folder / "deploy.sh").read_text() == "echo hi\n"
    assert (folder / "config/app.json").read_text() == "{}"
    assert (folder / "bin/run").read_bytes() == b"\0\1\2"


def test_the_same_files_come_to_one_digest_however_they_are_packed(tmp_path: Path) -> None:
    digests = {into(packed(tmp_path, kind))[1] for kind in KINDS}
    reordered = dict(reversed(FILES.items()))
    digests.add(into(tar_of(tmp_path / "shop.2.tar", reordered))[1])
    assert len(digests) == 1


def test_the_form_never_changes_or_old_releases_could_not_be_deployed(tmp_path: Path) -> None:
    source = tar_with(
        tmp_path / "shop.1.0.tar",
        [
            member("bin/run", "x", mode=0o4777),
            member("lib/libshop.so.1", "y"),
            member("lib/libshop.so", type=tarfile.SYMTYPE, linkname="libshop.so.1"),
            member("l" * 150 + "/ü", "z"),
        ],
    )
    _, digest = into(source)
    assert digest == "b1604ffde90ab1d7a7b3c6f40607ceab862f81f5b03e24ee02e8530e85289977"


def test_another_compressor_comes_to_the_same_digest(tmp_path: Path) -> None:
    path, digest = into(packed(tmp_path, "zip"))
    assert canonical.digest_of(path) == digest
    again = tmp_path / "again"
    plain = subprocess.run(["gzip", "-dc", path], check=True, capture_output=True).stdout
    again.write_bytes(
        subprocess.run(["gzip", "-1"], input=plain, check=True, capture_output=True).stdout
    )
    assert again.read_bytes() != path.read_bytes()
    assert canonical.digest_of(again) == digest


def test_who_owned_it_and_special_bits_are_left_behind(tmp_path: Path) -> None:
    wicked = member("run", "x", mode=0o6777, uid=1000, gid=1000, uname="eve", gname="eve")
    found = entries(tar_with(tmp_path / "shop.1.0.tar", [wicked]))["run"]
    assert (found.mode, found.uid, found.gid, found.uname, found.gname) == (0o755, 0, 0, "", "")


def test_what_may_be_run_stays_so_and_what_nobody_could_read_its_owner_can(tmp_path: Path) -> None:
    modes = {"run": 0o100755, "secret": 0o100400, "plain": 0o100644}
    found = entries(zip_of(tmp_path / "shop.1.0.zip", dict.fromkeys(modes, "x"), modes))
    assert {name: entry.mode for name, entry in found.items()} == {
        "run": 0o755,
        "secret": 0o600,
        "plain": 0o644,
    }


def test_times_are_kept_since_web_servers_tell_by_them_what_has_changed(tmp_path: Path) -> None:
    a = entries(packed(tmp_path, "zip"))["deploy.sh"]
    b = entries(packed(tmp_path, "tar"))["deploy.sh"]
    assert a.mtime == b.mtime == 1_714_979_290


def test_a_package_of_windows_has_no_backslashes_left(tmp_path: Path) -> None:
    path = tmp_path / "shop.1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename, info.create_system = "config\\app.json", 0
        archive.writestr(info, "{}")
    assert (unpacked(path) / "config/app.json").exists()


def test_what_nuget_added_is_left_out_and_its_names_are_read(tmp_path: Path) -> None:
    files = {
        "[Content_Types].xml": "x",
        "_rels/.rels": "x",
        "package/services/metadata/core-properties/1.psmdcp": "x",
        "shop.nuspec": "x",
        "content/a%20b.txt": "x",
    }
    found = entries(packed(tmp_path, "nupkg", files))
    assert set(found) == {"content", "content/a b.txt", "shop.nuspec"}


def test_links_within_the_package_stay_links(tmp_path: Path) -> None:
    members = [
        member("lib/a.so.1", "x"),
        member("lib/a.so", type=tarfile.SYMTYPE, linkname="a.so.1"),
        member("bin/a", type=tarfile.SYMTYPE, linkname="../lib/a.so"),
        member("copy", type=tarfile.LNKTYPE, linkname="lib/a.so.1"),
    ]
    folder = unpacked(tar_with(tmp_path / "shop.1.0.tar", members))
    assert (folder / "bin/a").read_text() == (folder / "copy").read_text() == "x"
    assert os.readlink(folder / "lib/a.so") == "a.so.1"
    assert not (folder / "copy").is_symlink()


def test_links_in_zip_files_are_links_too(tmp_path: Path) -> None:
    modes = {"current": stat.S_IFLNK | 0o777}
    files = {"v1/a": "x", "current": "v1"}
    assert (unpacked(zip_of(tmp_path / "shop.1.0.zip", files, modes)) / "current/a").exists()


def linking(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> list[object]:
    return [member("there", "x"), member(name, type=kind, linkname=target)]


WICKED = {
    "absolute": ([member("/etc/cron.d/x", "x")], "absolute"),
    "drive": ([member("C:/x", "x")], "absolute"),
    "above": ([member("../x", "x")], "leads out"),
    "above in the middle": ([member("a/../../x", "x")], "leads out"),
    "newline": ([member("a\nb", "x")], "can't be seen"),
    "escape": ([member("a\x1b[2Jb", "x")], "can't be seen"),
    "device": ([member("sda", type=tarfile.BLKTYPE, devmajor=8)], "no file, folder or link"),
    "character device": ([member("mem", type=tarfile.CHRTYPE)], "no file, folder or link"),
    "fifo": ([member("pipe", type=tarfile.FIFOTYPE)], "no file, folder or link"),
    "absolute link": (linking("a", "/etc/passwd"), "may lead out"),
    "link above": (linking("a", "../x"), "may lead out"),
    "link above from a folder": (linking("a/b", "../../x"), "may lead out"),
    "link down and up": (linking("a/b", "c/../../../x"), "may lead out"),
    "link to nothing": (linking("a", ""), "may lead out"),
    "through a link": (
        [member("a", type=tarfile.SYMTYPE, linkname="b"), member("a/x", "x")],
        "no folder",
    ),
    "a link in the place of a folder": (
        [member("a/x", "x"), member("a", type=tarfile.SYMTYPE, linkname="b")],
        "twice",
    ),
    "through a file": ([member("a", "x"), member("a/x", "x")], "no folder"),
    "twice": ([member("a", "x"), member("./a", "y")], "twice"),
    "hard link out": (linking("a", "../../etc/passwd", tarfile.LNKTYPE), "leads out"),
    "hard link absolute": (linking("a", "/etc/passwd", tarfile.LNKTYPE), "absolute"),
    "hard link to nothing": (linking("a", "b", tarfile.LNKTYPE), "no file before it"),
    "long name": ([member("a" * 300, "x")], "too long"),
    "deep name": ([member("a/" * 60 + "x", "x")], "too deep"),
}


@pytest.mark.parametrize("case", WICKED)
def test_what_could_leave_its_folder_is_refused_as_a_whole(case: str, tmp_path: Path) -> None:
    members, told = WICKED[case]
    source = tar_with(tmp_path / "shop.1.0.tar.gz", members)
    with pytest.raises(BadArchive, match=told) as refused:
        into(source)
    assert "\n" not in str(refused.value)
    assert "shop.1.0.tar.gz" in str(refused.value)


def test_no_chain_of_links_leads_out(tmp_path: Path) -> None:
    """One to the top from deep below, and one through it: each alone looks harmless."""
    members = [
        member("a/b/c/top", type=tarfile.SYMTYPE, linkname="../../.."),
        member("out", type=tarfile.SYMTYPE, linkname="a/b/c/top/../../etc"),
    ]
    with pytest.raises(BadArchive, match="may lead out"):
        into(tar_with(tmp_path / "shop.1.0.tar", members))


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "\\..\\x", "C:\\x", "a\nb"])
def test_zip_files_are_held_to_the_same(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadArchive):
        into(zip_of(tmp_path / "shop.1.0.zip", {name: "x"}))


def test_a_name_that_is_cut_at_a_nul_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "shop.1.0.zip", {"deployXshXx": "x"})
    path.write_bytes(path.read_bytes().replace(b"deployXshXx", b"deploy.sh\0x"))
    with pytest.raises(BadArchive, match="can't be seen"):
        into(path)


def test_special_files_in_zip_files_are_refused(tmp_path: Path) -> None:
    modes = {"pipe": stat.S_IFIFO | 0o644}
    with pytest.raises(BadArchive, match="no file, folder or link"):
        into(zip_of(tmp_path / "shop.1.0.zip", {"pipe": ""}, modes))


def test_a_link_out_of_a_zip_file_is_refused(tmp_path: Path) -> None:
    modes = {"a": stat.S_IFLNK | 0o777}
    with pytest.raises(BadArchive, match="may lead out"):
        into(zip_of(tmp_path / "shop.1.0.zip", {"a": "/etc"}, modes))


def test_a_file_twice_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "x")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "y")
    with pytest.raises(BadArchive, match="twice"):
        into(path)


def test_a_package_with_a_password_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "shop.1.0.zip", {"a": "x"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(BadArchive, match="password"):
        into(path)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_is_refused_before_it_has_filled_the_disk(kind: str, tmp_path: Path) -> None:
    source = packed(tmp_path, kind, {"zeros": bytes(3_000_000)})
    assert source.stat().st_size < 15_000
    limits = Limits(harmless=100_000)
    with pytest.raises(TooLarge, match="bomb"):
        into(source, limits)
    assert sorted(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_what_unpacks_to_no_archive_at_all_does_not_fill_the_disk_first(
    module: Any, tmp_path: Path
) -> None:
    kind = {gzip: "tar.gz", bz2: "tar.bz2", lzma: "tar.xz"}[module]
    source = tmp_path / f"shop.1.0.{kind}"
    source.write_bytes(module.compress(b"no tar" * 1_000_000))
    with pytest.raises(TooLarge, match="bomb"):
        into(source, Limits(harmless=100_000))


def test_more_than_may_come_out_is_refused(tmp_path: Path) -> None:
    source = packed(tmp_path, "tar", {"a": os.urandom(1000), "b": os.urandom(1000)})
    with pytest.raises(TooLarge, match="more than 1500 bytes"):
        into(source, Limits(unpacked=1500))


def test_an_archive_that_is_itself_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="more than 10 bytes"):
        into(packed(tmp_path, "zip"), Limits(packed=10))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_too_many_entries_are_refused(kind: str, tmp_path: Path) -> None:
    source = packed(tmp_path, kind, {f"f{n}": "" for n in range(50)})
    with pytest.raises(TooLarge, match="more than 40 entries"):
        into(source, Limits(entries=40))


def test_folders_that_only_names_imply_count_as_entries(tmp_path: Path) -> None:
    source = packed(tmp_path, "tar", {f"{n}/a/b/c/d/e": "" for n in range(10)})
    with pytest.raises(TooLarge, match="more than 40 entries"):
        into(source, Limits(entries=40))


def test_a_directory_of_many_entries_is_counted_before_it_is_read(tmp_path: Path) -> None:
    """The library would stumble over the second one, if it got that far."""
    source = tmp_path / "shop.1.0.zip"
    directory = b"PK\1\2" * 50
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 50, 50, len(directory), 0, 0)
    source.write_bytes(directory + end)
    with pytest.raises(TooLarge, match="more than 40 entries"):
        into(source, Limits(entries=40))


def test_a_header_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    source = tmp_path / "shop.1.0.tar"
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = b"L", 8 << 20
    with source.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(8 << 20))
    with pytest.raises(BadArchive, match="too large a header"):
        into(source)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.85])
def test_half_a_package_is_refused_whatever_it_is(kind: str, share: float, tmp_path: Path) -> None:
    source = packed(tmp_path, kind, {f"f{n}": os.urandom(3000) for n in range(10)})
    whole = source.read_bytes()
    source.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadArchive, match="damaged"):
        into(source)


def test_a_tar_file_that_is_cut_between_two_entries_is_refused(tmp_path: Path) -> None:
    source = packed(tmp_path, "tar", {"a": "x", "b": "y"})
    source.write_bytes(source.read_bytes()[:1024])
    with pytest.raises(BadArchive, match="damaged"):
        into(source)


def test_a_content_that_was_changed_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "shop.1.0.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("a", "the content")
    source.write_bytes(source.read_bytes().replace(b"the content", b"THE CONTENT"))
    with pytest.raises(BadArchive, match="damaged"):
        into(source)


def test_a_size_that_is_a_lie_is_noticed(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "shop.1.0.zip", {"a": "x" * 5000})
    raw = bytearray(source.read_bytes())
    struct.pack_into("<L", raw, raw.index(b"PK\1\2") + 24, 10)
    source.write_bytes(bytes(raw))
    with pytest.raises(BadArchive, match="damaged"):
        into(source)


def test_what_is_no_package_is_told(tmp_path: Path) -> None:
    source = tmp_path / "shop.1.0.exe"
    source.write_bytes(b"MZ")
    with pytest.raises(BadArchive, match=r"\.nupkg, \.tar"):
        into(source)


def test_what_is_not_what_its_name_says_is_told(tmp_path: Path) -> None:
    source = tmp_path / "shop.1.0.tar.gz"
    source.write_bytes(zip_of(tmp_path / "x.zip", {"a": "x"}).read_bytes())
    with pytest.raises(BadArchive, match="not what its name says"):
        into(source)


def test_an_empty_package_is_a_package(tmp_path: Path) -> None:
    assert list(unpacked(packed(tmp_path, "tar.gz", {})).iterdir()) == []


@pytest.mark.parametrize("tar", ["tar", "busybox"])
def test_long_and_foreign_names_come_through_every_tar(tar: str, tmp_path: Path) -> None:
    name = "ä" * 60 + "/" + "n" * 120 + "/" + "m" * 90
    path, _ = into(packed(tmp_path, "zip", {name: "x"}))
    folder = tmp_path / "unpacked"
    folder.mkdir()
    words = ["busybox", "tar"] if tar == "busybox" else ["tar"]
    subprocess.run([*words, "-xzf", path, "-C", folder], check=True)
    assert (folder / name).read_text() == "x"


def test_the_form_can_be_read_from_beginning_to_end(tmp_path: Path) -> None:
    path, _ = into(packed(tmp_path, "zip"))
    with canonical.reading(path) as archive:
        assert {entry.name for entry in archive if entry.isreg()} == set(FILES)
