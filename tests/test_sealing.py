"""Sealing: secrets are opened with their own key only, and shown by nothing on the way."""

from __future__ import annotations

import json
import traceback

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from deployengine.domain.variables import Sealed
from deployengine.sealing import SecretBox, WrongMasterKey

SECRET = "wholly-5ecret"
BOX = SecretBox(Fernet.generate_key())


def sealed(box: SecretBox, text: str) -> Sealed:
    return Sealed(**box.seal(text))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@settings(deadline=None)
def test_what_was_sealed_is_unsealed_letter_for_letter(text: str) -> None:
    assert BOX.unseal(sealed(BOX, text)) == text


def test_another_process_with_the_same_key_opens_it() -> None:
    key = Fernet.generate_key()
    assert SecretBox(key).unseal(sealed(SecretBox(key), SECRET)) == SECRET


def test_another_key_does_not_open_it_and_the_error_says_what_to_do() -> None:
    other = SecretBox(Fernet.generate_key())
    with pytest.raises(WrongMasterKey, match="DEPLOYENGINE_MASTER_KEY") as refused:
        other.unseal(sealed(BOX, SECRET))
    assert refused.value.exit_code == 2
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("harm", ["cut", "turn", "empty", "foreign"])
def test_a_damaged_cipher_is_refused(harm: str) -> None:
    cipher = BOX.seal(SECRET)["cipher"]
    damaged = {
        "cut": cipher[:-8],
        "turn": cipher[:-9] + ("A" if cipher[-9] != "A" else "B") + cipher[-8:],
        "empty": "",
        "foreign": "ä☂",
    }[harm]
    with pytest.raises(WrongMasterKey):
        BOX.unseal(Sealed(damaged, "m"))


def test_equal_secrets_have_equal_macs_and_different_ciphers() -> None:
    first, second = BOX.seal(SECRET), BOX.seal(SECRET)
    assert first["mac"] == second["mac"]
    assert first["cipher"] != second["cipher"]


def test_different_secrets_and_different_keys_have_different_macs() -> None:
    other = SecretBox(Fernet.generate_key())
    macs = {BOX.seal(SECRET)["mac"], BOX.seal(SECRET + " ")["mac"], other.seal(SECRET)["mac"]}
    assert len(macs) == 3


def test_neither_the_stored_form_nor_a_repr_shows_the_secret_or_the_key() -> None:
    key = Fernet.generate_key()
    box = SecretBox(key)
    stored = box.seal(SECRET)
    assert SECRET not in json.dumps(stored)
    for shown in (repr(Sealed(**stored)), str(Sealed(**stored)), repr(box), str(vars(box))):
        assert SECRET not in shown
        assert stored["cipher"] not in shown
        assert stored["mac"] not in shown
        assert key.decode() not in shown
