"""The master key: where it comes from, how it is made, what is refused."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from deployengine.domain.errors import RequestError
from deployengine.embedded.master_key import master_key
from deployengine.settings import Settings

MAKE = """
import sys
from pathlib import Path
from deployengine.embedded.master_key import master_key
from deployengine.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(master_key(settings).decode())
"""


def key_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_key_in_the_settings_is_used_and_no_file_is_made(tmp_path: Path):
    key = Fernet.generate_key()

    assert master_key(Settings(home=tmp_path / "h", master_key=key.decode())) == key
    assert not (tmp_path / "h").exists()


def test_the_key_in_a_named_file_is_used(tmp_path: Path):
    key = Fernet.generate_key()
    file = key_file(tmp_path / "k", key + b"\n")

    assert master_key(Settings(home=tmp_path / "h", master_key_file=file)) == key


def test_a_named_file_that_is_missing_is_not_made(tmp_path: Path):
    with pytest.raises(RequestError) as caught:
        master_key(Settings(home=tmp_path, master_key_file=tmp_path / "k"))

    assert str(tmp_path / "k") in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_first_use_makes_a_key_for_its_owner_alone_and_the_next_finds_it(tmp_path: Path):
    settings = Settings(home=tmp_path / "h")

    key = master_key(settings)

    assert master_key(settings) == key
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"
    assert stat.S_IMODE((tmp_path / "h/master.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "h").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "h").iterdir()] == ["master.key"]


def test_processes_that_make_it_at_once_agree_on_one(tmp_path: Path):
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, str(tmp_path / "h")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdout
        maker.stdout.readline()
    for maker in makers:
        assert maker.stdin
        maker.stdin.write("go\n")
        maker.stdin.flush()

    keys = {maker.communicate()[0].strip() for maker in makers}

    assert keys == {master_key(Settings(home=tmp_path / "h")).decode()}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int):
    file = key_file(tmp_path / "k", Fernet.generate_key(), mode)

    with pytest.raises(RequestError) as caught:
        master_key(Settings(home=tmp_path, master_key_file=file))

    assert f"mode {mode:04o}" in str(caught.value)
    assert "chmod 600" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hush", b"\xff\x00" * 30, b"QUJD", b"A" * 44])
def test_rubbish_is_refused_without_being_shown(tmp_path: Path, content: bytes):
    file = key_file(tmp_path / "k", content)

    with pytest.raises(RequestError) as caught:
        master_key(Settings(home=tmp_path, master_key_file=file))

    assert "44 characters" in str(caught.value)
    message = str(caught.value).replace(str(file), "")
    assert not content or repr(content)[2:-1] not in message


def test_rubbish_in_the_settings_is_refused_without_being_shown(tmp_path: Path):
    with pytest.raises(RequestError) as caught:
        master_key(Settings(home=tmp_path, master_key="hush-hush-ü"))

    assert "hush" not in str(caught.value)
    assert "setting master_key" in str(caught.value)
