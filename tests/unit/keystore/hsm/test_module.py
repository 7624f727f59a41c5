"""One organisation's token: its PIN, its sessions and its keys, against SoftHSM."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass, TokenFlag

from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.module import Module, Token
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from tests.softhsm import PIN, SoftHsm, requires_softhsm

PRIVATE_NUMBERS = (
    Attribute.PRIVATE_EXPONENT,
    Attribute.PRIME_1,
    Attribute.PRIME_2,
    Attribute.EXPONENT_1,
    Attribute.EXPONENT_2,
    Attribute.COEFFICIENT,
)


def expect(fault: KeyFault) -> pytest.RaisesExc[KeyStoreError]:
    return pytest.RaisesExc(KeyStoreError, check=lambda error: error.fault is fault)


def verify(public: rsa.RSAPublicKey, signature: bytes, data: bytes = b"data") -> None:
    public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


def make_key(token: Token, vault: str, name: KeyName = KeyName.SIGNING) -> objects.MadeKey:
    return objects.make_key(token, vault, name, 2048, lambda *_: b"")


@pytest.fixture(scope="module")
def token(hsm: SoftHsm) -> Token:
    """Return a token that stays logged in."""
    return hsm.token()


@pytest.fixture(scope="module")
def signing(token: Token) -> objects.MadeKey:
    return make_key(token, "v1")


# --- keys stay in the token -------------------------------------------------------------------------------


@requires_softhsm
def test_a_key_signs_where_it_was_made(token: Token, signing: objects.MadeKey) -> None:
    verify(signing.public, objects.sign(token, signing.key_id, b"data"))


@requires_softhsm
@pytest.mark.parametrize("attribute", PRIVATE_NUMBERS)
def test_no_number_of_a_private_key_can_be_read(
    token: Token, signing: objects.MadeKey, attribute: Attribute
) -> None:
    with pytest.raises(KeyStoreError, match="AttributeSensitive"):
        token.use(lambda session: session.private_key(signing.key_id)[attribute])


@requires_softhsm
def test_a_private_key_cannot_be_wrapped_to_be_taken_out(token: Token, signing: objects.MadeKey) -> None:
    def wrap(session: Any) -> bytes:
        wrapping = session.generate_key(KeyType.AES, 256, capabilities=MechanismFlag.WRAP)
        (key,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: signing.key_id})
        return bytes(wrapping.wrap_key(key, mechanism=pkcs11.Mechanism.AES_KEY_WRAP_PAD))

    with pytest.raises(KeyStoreError, match="KeyUnextractable"):
        token.change(wrap)


@requires_softhsm
@pytest.mark.parametrize("attribute", [Attribute.EXTRACTABLE, Attribute.SENSITIVE])
def test_what_keeps_a_key_in_the_token_cannot_be_changed(
    token: Token, signing: objects.MadeKey, attribute: Attribute
) -> None:
    def loosen(session: Any) -> None:
        (key,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: signing.key_id})
        key[attribute] = attribute is Attribute.EXTRACTABLE

    with pytest.raises(KeyStoreError, match=r"AttributeReadOnly|AttributeSensitive"):
        token.change(loosen)


@requires_softhsm
def test_a_key_has_one_use(token: Token, signing: objects.MadeKey) -> None:
    encryption = make_key(token, "v1", KeyName.ENCRYPTION)
    for made, use in ((signing, Attribute.SIGN), (encryption, Attribute.DECRYPT)):
        for attribute in objects._ONE_USE:
            may = token.use(lambda session, made=made, of=attribute: session.private_key(made.key_id)[of])
            assert may is (attribute is use)


@requires_softhsm
def test_a_token_that_would_give_keys_away_is_not_used(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(Any, objects._STAYS), Attribute.EXTRACTABLE, True)
    with expect(KeyFault.WEAK):
        make_key(token, "careless")
    assert count(token, "careless") == 0


@requires_softhsm
def test_what_the_secret_computes_is_always_the_same_and_its_own(token: Token) -> None:
    one, other = objects.make_secret(token, "v1"), objects.make_secret(token, "v2")
    computed = objects.authenticate(token, one, b"v1")
    assert computed == objects.authenticate(token, one, b"v1")
    assert (
        len({computed, objects.authenticate(token, one, b"v2"), objects.authenticate(token, other, b"v1")})
        == 3
    )
    with pytest.raises(KeyStoreError, match="AttributeSensitive"):
        token.use(lambda session: session.secret_key(one)[Attribute.VALUE])


@requires_softhsm
def test_destroying_a_vaults_keys_leaves_another_vaults(token: Token) -> None:
    ours = make_key(token, "closing")
    theirs = make_key(token, "closing2")
    objects.make_secret(token, "closing")
    objects.destroy_all(token, "closing")
    assert count(token, "closing") == 0
    with expect(KeyFault.MISSING):
        objects.sign(token, ours.key_id, b"data")
    verify(theirs.public, objects.sign(token, theirs.key_id, b"data"))


def count(token: Token, vault: str) -> int:
    def work(session: Any) -> int:
        return sum(str(one[Attribute.LABEL]).startswith(f"{vault} ") for one in session.get_objects({}))

    return token.change(work)


# --- the PIN ----------------------------------------------------------------------------------------------


@requires_softhsm
def test_a_wrong_pin_is_tried_once_until_it_has_changed(hsm: SoftHsm) -> None:
    pin_file = hsm.pin_file("0000")
    attempts: list[str] = []
    token = Token(hsm.module, hsm.unused(), pin_file)
    watched = Watched(token, attempts)
    for _ in range(3):
        with expect(KeyFault.LOCKED):
            watched.use()
    assert attempts == ["0000"]
    pin_file.write_text(PIN)
    watched.use()
    assert attempts == ["0000", PIN]


class Watched:
    """A token that records attempts to log in."""

    def __init__(self, token: Token, attempts: list[str]) -> None:
        present = token._present

        def watched(library: Any) -> Any:
            real = present(library)

            def opens(user_pin: str | None = None) -> Any:
                attempts.append(user_pin or "")
                return real.open(user_pin=user_pin)

            return SimpleNamespace(flags=real.flags, open=opens)

        cast(Any, token)._present = watched
        self._token = token

    def use(self) -> None:
        self._token.use(lambda session: None)


@requires_softhsm
def test_the_last_attempt_before_a_token_locks_itself_is_left_to_people(hsm: SoftHsm) -> None:
    token = hsm.token()
    cast(Any, token)._present = lambda library: SimpleNamespace(flags=TokenFlag.USER_PIN_FINAL_TRY)
    with pytest.raises(KeyStoreError, match="after one more wrong PIN"):
        token.use(lambda session: None)


@requires_softhsm
@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_pin_that_cannot_be_read_leaves_the_token_locked(
    hsm: SoftHsm, tmp_path: Path, content: bytes | None
) -> None:
    pin_file = tmp_path / "pin"
    if content is not None:
        pin_file.write_bytes(content)
    with expect(KeyFault.LOCKED):
        Token(hsm.module, "token-0", pin_file).use(lambda session: None)


@requires_softhsm
def test_whoever_watches_hears_once_that_a_token_is_gone_and_once_that_it_is_back(hsm: SoftHsm) -> None:
    told: list[tuple[str, str]] = []
    file, label = hsm.pin_file("no PIN of it"), hsm.unused()
    token = Token(hsm.module, label, file, watch=lambda *one: told.append(one))
    for _ in range(3):
        with expect(KeyFault.LOCKED):
            token.use(lambda session: None)
    file.write_text(PIN)
    for _ in range(3):
        token.use(lambda session: None)
    assert [whose for whose, _ in told] == [label, label]
    (gone, back) = (reason for _, reason in told)
    assert "refuses the PIN" in gone
    assert "no PIN of it" not in gone
    assert back == ""


@requires_softhsm
def test_no_error_of_a_token_tells_its_pin(hsm: SoftHsm) -> None:
    with pytest.raises(KeyStoreError) as raised:
        hsm.token(pin="31415926").use(lambda session: None)
    assert "31415926" not in str(raised.value)
    assert raised.value.__cause__ is None


# --- sessions ---------------------------------------------------------------------------------------------


@requires_softhsm
def test_a_session_that_has_died_is_begun_again(token: Token, signing: objects.MadeKey) -> None:
    token.use(lambda session: session.opened.close())
    verify(signing.public, objects.sign(token, signing.key_id, b"data"))


@requires_softhsm
def test_a_library_that_begins_anew_leaves_no_old_handle_in_use(hsm: SoftHsm) -> None:
    """Handles are then numbered from the start, and an old one could be another organisation's."""
    ours, theirs = hsm.token(), hsm.token()
    keys = {token: make_key(token, "v1") for token in (ours, theirs)}
    hsm.begin_anew()
    for token in (theirs, ours):
        verify(keys[token].public, objects.sign(token, keys[token].key_id, b"data"))


@requires_softhsm
def test_a_token_that_was_away_is_used_again_also_where_the_library_has_lost_it(
    hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many libraries still find the token's label, but nothing behind it until they are initialised again."""
    label = hsm.unused()
    token, neighbour = hsm.token(label), hsm.token()
    key, other = make_key(token, "v1"), make_key(neighbour, "v1")
    away = hsm.folder_of(label).rename(hsm.folder / "away")
    try:
        for _ in range(3):
            monkeypatch.setattr(hsm.module, "_renewed_at", monotonic())
            with pytest.raises(KeyStoreError):
                objects.sign(token, key.key_id, b"data")
    finally:
        away.rename(hsm.folder / "tokens" / away.name)
    monkeypatch.setattr(hsm.module, "_renewed_at", None)
    verify(key.public, objects.sign(token, key.key_id, b"data"))
    verify(other.public, objects.sign(neighbour, other.key_id, b"data"))


@requires_softhsm
def test_a_token_that_was_made_later_is_found(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    hsm.token().use(lambda session: None)
    monkeypatch.setattr(hsm.module, "_renewed_at", None)
    hsm.token(hsm.make("made later")).use(lambda session: None)


@requires_softhsm
def test_a_token_that_is_not_there_is_told_and_not_looked_for_all_the_time(
    hsm: SoftHsm, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hsm.module, "_renewed_at", None)
    missing = hsm.token("no such token")
    with expect(KeyFault.UNAVAILABLE):
        missing.use(lambda session: None)
    generation = hsm.module.generation
    with expect(KeyFault.UNAVAILABLE):
        missing.use(lambda session: None)
    assert hsm.module.generation == generation


@requires_softhsm
def test_many_threads_use_many_tokens(hsm: SoftHsm, token: Token, signing: objects.MadeKey) -> None:
    other = hsm.token()
    of_other = make_key(other, "v1")

    def sign(number: int) -> None:
        used, made = ((token, signing), (other, of_other))[number % 2]
        data = str(number).encode()
        verify(made.public, objects.sign(used, made.key_id, data), data)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign, range(64)))


@requires_softhsm
def test_a_child_of_a_fork_logs_in_for_itself(hsm: SoftHsm) -> None:
    label = hsm.unused()
    script = f"""
import os
from pathlib import Path
from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.module import module
from samdrift.keystore.hsm.module import Token
from tests.unit.keystore.hsm.test_module import make_key, verify
token = Token(module(Path({str(hsm.library)!r})), {label!r}, Path({str(hsm.pin_file())!r}))
key = make_key(token, "v1")
child = os.fork()
verify(key.public, objects.sign(token, key.key_id, b"data"))
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[4], env=os.environ)


# --- the library ------------------------------------------------------------------------------------------


def test_a_library_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    missing = Module(lambda: pkcs11.lib(str(tmp_path / "missing.so")))
    with expect(KeyFault.UNAVAILABLE):
        Token(missing, "any", tmp_path).use(lambda session: None)


def test_a_library_that_hangs_keeps_nobody_for_long() -> None:
    hanging = Module(lambda: None, patience=0.01)
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        with hanging.calling():
            inside.set()
            go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(hang)
        inside.wait(60)
        for _ in range(2):
            with expect(KeyFault.UNAVAILABLE), hanging.calling():
                pass
        go_on.set()
        hung.result()
    with hanging.calling():
        pass


@requires_softhsm
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_pin_that_others_can_read_is_not_used(hsm: SoftHsm, mode: int) -> None:
    """The rule is that of a passphrase file that others can read."""
    label, pin_file = hsm.unused(), hsm.pin_file()
    pin_file.chmod(mode)
    with pytest.raises(KeyStoreError, match="chmod 600") as raised:
        Token(hsm.module, label, pin_file).use(lambda session: None)
    assert raised.value.fault is KeyFault.LOCKED
    pin_file.chmod(0o600)
    Token(hsm.module, label, pin_file).use(lambda session: None)


@requires_softhsm
def test_a_credential_has_the_rights_that_systemd_gave_it(hsm: SoftHsm) -> None:
    label, pin_file = hsm.unused(), hsm.pin_file()
    pin_file.chmod(0o440)
    Token(hsm.module, label, pin_file, owner_only=False).use(lambda session: None)
