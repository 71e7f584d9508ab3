"""Reading the files of an export: nothing that is hostile in it does harm."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from deployengine.domain.errors import RequestError
from deployengine.importing.source import Bounds, files


def zipped(file: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def test_a_folder_is_read_with_all_folders_in_it_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/2.json", "a.JSON", "b/1.json", "notes.txt", "b/run.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    found = files(tmp_path)

    assert [file.name for file in found] == ["a.JSON", "b/1.json", "b/2.json", "b/run.sh"]
    assert found[1].content == b"b/1.json"


def test_a_zip_is_read_without_writing_anything(tmp_path: Path) -> None:
    outside = tmp_path / "evil.json"
    archive = zipped(tmp_path / "x.zip", {"../evil.json": b"{}", "/abs.json": b"[]"})
    before = sorted(tmp_path.iterdir())

    found = files(archive)

    assert [file.name for file in found] == ["../evil.json", "/abs.json"]
    assert not outside.exists()
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_unpacks_to_more_than_a_document_can_be_is_refused(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "x.zip", {"bomb.json": b"0" * 1_000_001})
    assert bomb.stat().st_size < 5_000

    with pytest.raises(RequestError, match=r"bomb\.json is too large"):
        files(bomb, Bounds(file=1_000_000))
    assert len(files(bomb, Bounds(file=1_000_001))) == 1


def test_files_that_together_are_too_large_are_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {f"{n}.json": b"0" * 100 for n in range(3)})

    with pytest.raises(RequestError, match=r"2\.json is too large, or all files together are"):
        files(archive, Bounds(all=299))
    assert len(files(archive, Bounds(all=300))) == 3


def test_files_that_are_too_many_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.json").touch()

    with pytest.raises(RequestError, match="has more than 2 files"):
        files(tmp_path, Bounds(files=2))


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"a.json": b"0" * 10_000})
    content = bytearray(archive.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24  # the size once unpacked, in the directory
    content[at : at + 4] = (5).to_bytes(4, "little")
    archive.write_bytes(content)

    with pytest.raises(RequestError, match="broken zip"):
        files(archive)


def test_an_encrypted_zip_is_refused_with_advice(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"a.json": b"{}"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)

    with pytest.raises(RequestError, match="encrypted as a zip; unpack it with its password"):
        files(archive)


def test_a_pipe_among_the_files_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "a.json").write_text("{}")

    assert [file.name for file in files(tmp_path)] == ["a.json"]


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)

    assert [file.name for file in files(tmp_path)] == ["a.json"]


def test_a_name_that_cannot_be_seen_is_not_printed(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"a\x1b[31m.json": b"{}"})

    assert [file.name for file in files(archive)] == ["a?[31m.json"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("nowhere", "there is no such folder or file"), ("a.txt", "is no folder, zip or JSON file")],
)
def test_what_is_no_export_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "a.txt").write_text("hello")

    with pytest.raises(RequestError, match=said):
        files(tmp_path / name)
