"""The master key: where it comes from, how it is made, what is refused."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from deployengine.domain.errors import RequestError
from deployengine.embedded.master_key import MasterKeys, read_key
from deployengine.settings import Settings

MAKE = """
import sys
from pathlib import Path
from deployengine.embedded.master_key import MasterKeys
from deployengine.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(MasterKeys(settings)()[0].decode())
"""


def master_key(settings: Settings) -> bytes:
    """The only key in force."""
    (key,) = MasterKeys(settings)()
    return key


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


# ---- several ----

OLD, NEW, THIRD = (Fernet.generate_key() for _ in range(3))


def test_a_setting_holds_several_keys_set_apart_by_space(tmp_path: Path):
    given = f"{NEW.decode()}  {OLD.decode()}"

    assert MasterKeys(Settings(home=tmp_path, master_key=given))() == (NEW, OLD)


def test_a_file_holds_one_on_a_line_with_remarks(tmp_path: Path):
    text = b"# since May\n" + NEW + b"\n\n" + OLD + b"  # until May\n"
    file = key_file(tmp_path / "k", text)

    assert MasterKeys(Settings(home=tmp_path, master_key_file=file))() == (NEW, OLD)


def test_one_of_several_that_is_no_key_is_refused_without_being_shown(tmp_path: Path):
    with pytest.raises(RequestError) as caught:
        MasterKeys(Settings(home=tmp_path, master_key=f"{NEW.decode()} hush-hush"))()

    assert "hush" not in str(caught.value)
    assert NEW.decode() not in str(caught.value)


def test_a_file_that_changes_is_read_again(tmp_path: Path):
    file = key_file(tmp_path / "k", OLD)
    keys = MasterKeys(Settings(home=tmp_path, master_key_file=file))
    assert keys() == (OLD,)

    MasterKeys(Settings(home=tmp_path, master_key_file=file)).put_first(NEW)

    assert keys() == (NEW, OLD)


@pytest.mark.parametrize("harm", ["gone", "rubbish", "open to others"])
def test_a_file_that_was_right_and_is_not_any_more_still_counts(tmp_path: Path, harm: str):
    file = key_file(tmp_path / "k", OLD)
    keys = MasterKeys(Settings(home=tmp_path, master_key_file=file))
    assert keys() == (OLD,)

    if harm == "gone":
        file.unlink()
    else:
        key_file(
            file, b"rubbish" if harm == "rubbish" else NEW, 0o644 if "others" in harm else 0o600
        )

    assert keys() == (OLD,)


def test_a_new_key_comes_first_and_the_rest_of_the_file_stays(tmp_path: Path):
    file = key_file(tmp_path / "k", b"# since May\n" + OLD + b"\n")
    keys = MasterKeys(Settings(home=tmp_path, master_key_file=file))

    keys.put_first(NEW)

    assert keys() == (NEW, OLD)
    assert file.read_bytes() == NEW + b"\n# since May\n" + OLD + b"\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".k.")] == [".k.lock"]


def test_a_key_that_is_there_is_put_first_not_twice(tmp_path: Path):
    file = key_file(tmp_path / "k", NEW + b"\n" + OLD + b" # until May\n")
    keys = MasterKeys(Settings(home=tmp_path, master_key_file=file))

    keys.put_first(OLD)

    assert keys() == (OLD, NEW)


def test_keys_that_several_put_first_at_once_are_all_kept(tmp_path: Path):
    file = key_file(tmp_path / "k", OLD)
    settings = Settings(home=tmp_path, master_key_file=file)
    news = [Fernet.generate_key() for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: MasterKeys(settings).put_first(key), news))

    assert set(MasterKeys(settings)()) == {OLD, *news}


def test_keys_from_the_setting_cannot_be_put_first(tmp_path: Path):
    keys = MasterKeys(Settings(home=tmp_path, master_key=OLD.decode()))

    with pytest.raises(RequestError) as caught:
        keys.put_first(NEW)

    assert "put the new key before the others there" in str(caught.value)
    assert NEW.decode() not in str(caught.value)


def test_the_file_behind_a_link_is_changed_and_the_link_stays(tmp_path: Path):
    (tmp_path / "apart").mkdir()
    file = key_file(tmp_path / "apart" / "k", OLD)
    link = tmp_path / "link"
    link.symlink_to(file)

    MasterKeys(Settings(home=tmp_path, master_key_file=link)).put_first(NEW)

    assert link.is_symlink()
    assert file.read_bytes().split() == [NEW, OLD]


def test_a_file_with_one_new_key_is_read_and_one_with_two_is_refused(tmp_path: Path):
    assert read_key(key_file(tmp_path / "one", NEW + b"\n")) == NEW

    with pytest.raises(RequestError, match="2 keys"):
        read_key(key_file(tmp_path / "two", NEW + b"\n" + OLD))
