"""The key of a log in a token: made there, moved there, and in a file if the token has no Ed25519."""

from __future__ import annotations

import shutil
from typing import Any, cast

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

from samdrift.audit.notes import Algorithm, VerifierKey, announced
from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.hsm.logkeys import HsmLogKey, LogReferences
from samdrift.keystore.hsm.module import Token
from samdrift.keystore.hsm.store import HsmKeyStore
from samdrift.keystore.interface import LogKeyPlace
from samdrift.keystore.keyfiles import KeyFault
from samdrift.keystore.settings import HsmAccess, HsmSettings
from samdrift.keystore.unlocking import HandedUnlocker
from samdrift.vault.logtree import announcement
from samdrift.wire.crypto.keys import LogKey
from samdrift.wire.crypto.softwarekeys import SoftwareLogKey
from tests.softhsm import SoftHsm, requires_softhsm
from tests.unit.keystore.hsm.test_module import count, expect
from tests.unit.keystore.hsm.test_store import HABO, Killed, Site, killed, site

__all__ = ["site"]

pytestmark = requires_softhsm
_ED25519 = {objects.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, objects.Mechanism.EDDSA}


@pytest.fixture(scope="module")
def token(hsm: SoftHsm) -> Token:
    return hsm.token()


@pytest.fixture(scope="module")
def made(token: Token) -> objects.MadeLogKey:
    return objects.make_log_key(token, "v1")


@pytest.fixture
def without_ed25519(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Offer the algorithms of SoftHSM except Ed25519; a test that needs it again undoes this itself."""
    offers = Token.offers
    monkeypatch.setattr(Token, "offers", lambda own, *asked: not _ED25519 & {*asked} and offers(own, *asked))
    return monkeypatch


def verifies(key: LogKey) -> bool:
    """Return whether the key's signature verifies with its public half, by OpenSSL."""
    Ed25519PublicKey.from_public_bytes(key.public).verify(key.sign(b"checkpoint"), b"checkpoint")
    return True


# --- the key itself ---------------------------------------------------------------------------------------


def test_rfc_8032_a_key_of_a_log_signs_in_the_token_where_it_was_made(
    token: Token, made: objects.MadeLogKey
) -> None:
    key = HsmLogKey(token, made.key_id, made.public.public_bytes_raw())
    assert (verifies(key), key.remote) == (True, True)
    assert key.sign(b"the same") == key.sign(b"the same"), "Ed25519 signatures are deterministic"


def test_a_key_of_a_log_cannot_be_taken_out_or_loosened(token: Token, made: objects.MadeLogKey) -> None:
    def private(session: Any) -> Any:
        (key,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: made.key_id})
        return key

    def wrap(session: Any) -> bytes:
        wrapping = session.generate_key(KeyType.AES, 256, capabilities=MechanismFlag.WRAP)
        return bytes(wrapping.wrap_key(private(session), mechanism=pkcs11.Mechanism.AES_KEY_WRAP_PAD))

    def loosen(session: Any) -> None:
        private(session)[Attribute.EXTRACTABLE] = True

    with expect(KeyFault.UNAVAILABLE):
        token.use(lambda session: session.private_key(made.key_id)[Attribute.VALUE])
    for attempt in (wrap, loosen):
        with expect(KeyFault.UNAVAILABLE):
            token.change(attempt)
    for attribute in objects._ONE_USE:
        may = token.use(lambda session, of=attribute: session.private_key(made.key_id)[of])
        assert may is (attribute is Attribute.SIGN), attribute


def test_a_token_that_would_give_a_logs_key_away_is_not_used(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast(Any, objects._STAYS), Attribute.EXTRACTABLE, True)
    with expect(KeyFault.WEAK):
        objects.make_log_key(token, "careless")
    assert count(token, "careless") == 0


def test_a_key_whose_signature_does_not_verify_is_not_used(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_log_signed", lambda key, data: bytes(64))
    with expect(KeyFault.UNAVAILABLE):
        objects.make_log_key(token, "broken")
    assert count(token, "broken") == 0


def test_a_public_key_is_read_bare_and_in_an_octet_string(made: objects.MadeLogKey) -> None:
    bare = made.public.public_bytes_raw()
    assert objects._edwards_point(bare) == objects._edwards_point(b"\x04\x20" + bare) == made.public
    for other in (b"", bare[1:], b"\x03\x21" + bare, b"\x04\x20\x00" + bare):
        with pytest.raises(ValueError, match="32 bytes"):
            objects._edwards_point(other)


# --- in the key store -------------------------------------------------------------------------------------


def test_the_log_of_an_organisation_with_a_token_is_signed_there(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    assert store.log_key_place("a1") is LogKeyPlace.HSM, "the key will be made in the HSM"
    before = site.objects("a1")
    (key,) = store.log_keys("a1")
    assert (type(key), verifies(key), site.objects("a1")) == (HsmLogKey, True, before + 2)
    assert [each.public for each in site.open().log_keys("a1")] == [key.public], (
        "the key must be made only once"
    )
    assert site.objects("a1") == before + 2
    files = list((site.folder / "keys" / "a1").rglob("log-key-*"))
    assert [path.parent.name for path in files] == ["token"], "no file may have a private key of the log"


def test_an_organisation_without_a_token_has_its_logs_key_in_a_file(site: Site) -> None:
    store = site.open()
    store.begin("b1")
    (key,) = store.log_keys("b1")
    assert (type(key), verifies(key)) == (SoftwareLogKey, True)
    assert store.log_key_place("b1") is LogKeyPlace.FILE


def test_a_token_without_ed25519_leaves_the_logs_key_in_a_file_that_it_opens(
    site: Site, without_ed25519: pytest.MonkeyPatch
) -> None:
    store = site.open()
    store.begin("a1", HABO)
    assert store.log_key_place("a1") is LogKeyPlace.UNSUPPORTED
    before = site.objects("a1")
    (key,) = store.log_keys("a1")
    assert (type(key), verifies(key), site.objects("a1")) == (SoftwareLogKey, True, before)
    assert store.log_key_place("a1") is LogKeyPlace.UNSUPPORTED
    with expect(KeyFault.UNAVAILABLE):
        site.open(configured=False).log_keys("a1")


def test_a_token_that_learns_ed25519_gets_the_next_key_when_a_person_wants_it(
    site: Site, without_ed25519: pytest.MonkeyPatch
) -> None:
    store = site.open()
    store.begin("a1", HABO)
    (old,) = store.log_keys("a1")
    without_ed25519.undo()
    assert [key.public for key in store.log_keys("a1")] == [old.public], (
        "the key must not be replaced automatically"
    )
    assert store.log_key_place("a1") is LogKeyPlace.MOVABLE
    store.use_hsm("a1", HABO)
    new, kept = store.log_keys("a1")
    assert (type(new), kept.public, store.log_key_place("a1")) == (HsmLogKey, old.public, LogKeyPlace.HSM)
    store.use_hsm("a1", HABO)
    assert len(store.log_keys("a1")) == 2, "repeating the command must not make another key"


def test_with_its_token_a_vault_gets_a_new_key_of_its_log_which_the_former_one_announces(site: Site) -> None:
    unconfigured = site.open(configured=False)
    unconfigured.begin("a1", HABO)
    (old,) = unconfigured.log_keys("a1")
    store = site.open()
    store.use_hsm("a1", HABO)
    keys = store.log_keys("a1")
    assert (type(keys[0]), keys[-1].public) == (HsmLogKey, old.public)
    announces(old, keys)
    store.renew_log_key("a1")
    newest = store.log_keys("a1")
    assert (type(newest[0]), newest[1].public) == (HsmLogKey, keys[0].public)
    announces(keys[0], newest)


def announces(former: LogKey, keys: tuple[LogKey, ...]) -> None:
    """Check that the former key signs the newest as the log's key from now on, as the log's entry has it."""
    before, new = (VerifierKey("samdrift.log/1", Algorithm.ED25519, key.public) for key in (former, keys[0]))
    signature = announcement(new, str(before), keys)
    assert signature is not None
    Ed25519PublicKey.from_public_bytes(former.public).verify(signature, announced(new))


@pytest.mark.parametrize("moment", ["settle", "make_log_key", "add"])
def test_a_kill_while_a_vault_gets_its_token_leaves_a_log_that_can_be_signed_and_announced(
    site: Site, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    unconfigured = site.open(configured=False)
    unconfigured.begin("a1", HABO)
    (old,) = unconfigured.log_keys("a1")
    with monkeypatch.context() as killing:
        if moment == "settle":
            killing.setattr("samdrift.keystore.hsm.unlocking.HsmUnlocker.settle", killed)
        elif moment == "make_log_key":
            killing.setattr(objects, "make_log_key", killed)
        else:
            killing.setattr(LogReferences, "add", killed)
        with pytest.raises(Killed):
            site.open().use_hsm("a1", HABO)
    store = site.open()
    assert old.public in {key.public for key in store.log_keys("a1")}
    store.use_hsm("a1", HABO)
    keys = store.log_keys("a1")
    assert (type(keys[0]), verifies(keys[0]), keys[-1].public) == (HsmLogKey, True, old.public)
    store.destroy("a1")
    assert site.objects("a1") == 0, "no object that a kill left may stay in the HSM"


def test_a_process_that_was_handed_a_vaults_key_signs_its_log_in_the_token_and_makes_nothing(
    site: Site,
) -> None:
    store = site.open()
    store.begin("a1", HABO)
    tokens = Hsm(HsmSettings(site.hsm.library, {HABO: HsmAccess(site.label, site.pin_file)}))
    worker = HsmKeyStore(site.folder / "keys", HandedUnlocker({"a1": store.unlock_key("a1")}), tokens)
    with expect(KeyFault.MISSING):
        worker.log_keys("a1")
    (key,) = store.log_keys("a1")
    (same,) = worker.log_keys("a1")
    assert (type(same), same.public, verifies(same)) == (HsmLogKey, key.public, True)
    with expect(KeyFault.LOCKED):
        worker.begin("a9", HABO)


def test_a_log_is_not_signed_while_its_token_is_away_and_no_key_comes_in_its_place(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    (key,) = store.log_keys("a1")
    site.hsm.folder_of(site.label).rename(site.hsm.folder / "away")
    site.hsm.begin_anew()
    try:
        with expect(KeyFault.UNAVAILABLE):
            key.sign(b"checkpoint")
        with expect(KeyFault.UNAVAILABLE):
            store.renew_log_key("a1")
        assert [each.public for each in store.log_keys("a1")] == [key.public]
    finally:
        (site.hsm.folder / "away").rename(site.hsm.folder / "tokens" / "back-for-logs")
        site.hsm.begin_anew()
    assert verifies(key)


def test_everything_is_wrapped_anew_and_the_log_keeps_its_keys(site: Site) -> None:
    unconfigured = site.open(configured=False)
    unconfigured.begin("a1", HABO)
    unconfigured.log_keys("a1")
    store = site.open()
    store.use_hsm("a1", HABO)
    known = [key.public for key in store.log_keys("a1")]
    store.rewrap("a1")
    assert [key.public for key in site.open().log_keys("a1")] == known


def test_a_vault_that_is_restored_has_its_logs_key_in_the_token(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    (key,), backup = store.log_keys("a1"), store.back_up("a1")
    shutil.rmtree(site.folder / "keys" / "a1")
    for seal in (site.folder / "seals").iterdir():
        seal.unlink()
    site.open().restore(backup)
    (again,) = site.open().log_keys("a1")
    assert (again.public, verifies(again)) == (key.public, True)


@pytest.mark.parametrize("data", [b"", b"pkcs11:id=%01;type=private\n", b"-----BEGIN PUBLIC KEY-----"])
def test_a_damaged_reference_to_a_logs_key_is_reported(site: Site, data: bytes) -> None:
    store = site.open()
    store.begin("a1", HABO)
    store.log_keys("a1")
    (file,) = (site.folder / "keys" / "a1" / "token").iterdir()
    file.write_bytes(data)
    with expect(KeyFault.DAMAGED):
        site.open().log_keys("a1")
