"""Sealing: secrets are opened with their own key only, and shown by nothing on the way."""

from __future__ import annotations

import json
import traceback

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from deployengine.domain.variables import Sealed
from deployengine.sealing import KeyRing, SecretBox, WrongMasterKey, key_id

SECRET = "wholly-5ecret"
BOX = SecretBox.of([Fernet.generate_key()])


def sealed(box: SecretBox, text: str) -> Sealed:
    return Sealed.from_document(box.seal(text))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@settings(deadline=None)
def test_what_was_sealed_is_unsealed_letter_for_letter(text: str) -> None:
    assert BOX.unseal(sealed(BOX, text)) == text


def test_another_process_with_the_same_key_opens_it() -> None:
    key = Fernet.generate_key()
    assert SecretBox.of([key]).unseal(sealed(SecretBox.of([key]), SECRET)) == SECRET


def test_another_key_does_not_open_it_and_the_error_says_what_to_do() -> None:
    other = SecretBox.of([Fernet.generate_key()])
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


# ---- several keys ----

OLD, NEW = Fernet.generate_key(), Fernet.generate_key()


def test_a_sealed_value_names_its_key_by_what_tells_nothing_of_it() -> None:
    value = BOX.seal(SECRET)
    assert len(value["key_id"]) == 8
    assert SecretBox.of([OLD]).seal(SECRET)["key_id"] == key_id(OLD) != key_id(NEW)
    assert key_id(OLD) not in OLD.decode()


def test_the_first_key_seals_and_all_of_them_open() -> None:
    both = SecretBox.of([NEW, OLD])
    assert both.seal(SECRET)["key_id"] == key_id(NEW)
    assert both.unseal(sealed(SecretBox.of([OLD]), SECRET)) == SECRET


def test_a_value_from_before_keys_had_ids_is_opened_by_whichever_key_fits() -> None:
    value = sealed(SecretBox.of([OLD]), SECRET)
    nameless = Sealed(value.cipher, value.mac)
    assert SecretBox.of([NEW, OLD]).unseal(nameless) == SECRET
    with pytest.raises(WrongMasterKey):
        SecretBox.of([NEW]).unseal(nameless)


def test_a_value_whose_key_is_not_there_says_which_one_is_wanted_and_which_there_are() -> None:
    value = sealed(SecretBox.of([OLD]), SECRET)
    with pytest.raises(WrongMasterKey) as refused:
        SecretBox.of([NEW]).unseal(value)
    assert f"its master key {key_id(OLD)} is not in use (in use: {key_id(NEW)})" in str(
        refused.value
    )


def test_a_damaged_value_is_not_taken_for_one_of_another_key() -> None:
    value = sealed(SecretBox.of([OLD]), SECRET)
    damaged = Sealed(value.cipher[:-8], value.mac, value.key_id)
    with pytest.raises(WrongMasterKey, match="damaged"):
        SecretBox.of([OLD]).unseal(damaged)


def test_a_key_that_comes_first_later_seals_from_then_on_and_the_old_one_still_opens() -> None:
    keys = [OLD]
    box = SecretBox(KeyRing(lambda: keys), b"fingerprint")
    before = sealed(box, SECRET)
    keys[:] = [NEW]
    after = sealed(box, SECRET)
    assert (before.key_id, after.key_id) == (key_id(OLD), key_id(NEW))
    assert before.mac == after.mac
    assert box.unseal(before) == SECRET, "what was known once is not forgotten"


def test_a_key_that_came_meanwhile_is_looked_for_when_a_value_names_it() -> None:
    keys = [OLD]
    box = SecretBox(KeyRing(lambda: keys), b"fingerprint")
    assert box.unseal(sealed(box, SECRET)) == SECRET
    keys[:] = [NEW, OLD]
    assert box.unseal(sealed(SecretBox.of([NEW]), SECRET)) == SECRET


def test_without_its_fingerprint_key_a_box_opens_and_does_not_seal() -> None:
    box = SecretBox(KeyRing(lambda: [OLD]), None)
    assert box.unseal(sealed(SecretBox.of([OLD]), SECRET)) == SECRET
    with pytest.raises(WrongMasterKey, match="nothing can be sealed"):
        box.seal(SECRET)


# ---- fingerprints ----


def test_equal_secrets_have_equal_macs_and_different_ciphers() -> None:
    first, second = BOX.seal(SECRET), BOX.seal(SECRET)
    assert first["mac"] == second["mac"]
    assert first["cipher"] != second["cipher"]


def test_different_secrets_and_different_keys_have_different_macs() -> None:
    other = SecretBox.of([Fernet.generate_key()])
    macs = {BOX.seal(SECRET)["mac"], BOX.seal(SECRET + " ")["mac"], other.seal(SECRET)["mac"]}
    assert len(macs) == 3


def test_neither_the_stored_form_nor_a_repr_shows_the_secret_or_the_key() -> None:
    key = Fernet.generate_key()
    box = SecretBox.of([key])
    stored = box.seal(SECRET)
    assert SECRET not in json.dumps(stored)
    for shown in (
        repr(Sealed.from_document(stored)),
        str(Sealed.from_document(stored)),
        repr(box),
        str(vars(box)),
    ):
        assert SECRET not in shown
        assert stored["cipher"] not in shown
        assert stored["mac"] not in shown
        assert key.decode() not in shown
