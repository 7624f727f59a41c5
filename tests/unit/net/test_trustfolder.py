"""Chain policies read from folders, also while the folders are changed."""

import logging
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.net.trustfolder import Policies, TrustFolderError, followed_policies, read_policies
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import RevocationMode
from samdrift.wire.crypto.certificates import common_name
from samdrift.wire.verdicts import TrustReason
from tests import pki
from tests.official import DIGG, requires_digg
from tests.pki import NOW

pytestmark = pytest.mark.usefixtures("files_looked_at_always")

FIRST, SECOND = pki.root("First", 1), pki.root("Second", 2)
ISSUER = FIRST.subordinate("Issuer", 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """DIGG's chains of the production environment, laid out as an operator would."""
    official = DIGG / "certificates/production"
    places = {
        "accesspoint/Rot CA eDelivery Accesspunkt-PROD.cer": "access-point",
        "accesspoint/Accesspunkt CA-SDK-PROD.cer": "access-point",
        "smp/Rot CA eDelivery SMP-PROD.cer": "smp",
        "o2o/sithseidrootcav2.cer": "organisation",
        "o2o/sithseidfunctioncav1.cer": "organisation",
        "o2o/ExpiTrust-EID-CA-v4 (1).cer": "organisation",
        "o2o/SwedishPublicSectorFunctionCAv3.crt": "organisation",
    }
    for file, place in places.items():
        (tmp_path / place).mkdir(exist_ok=True)
        shutil.copy(official / file, tmp_path / place)
    return tmp_path


@requires_digg
def test_each_purpose_has_its_own_anchors_and_issuers(folder: Path) -> None:
    policies = read_policies(folder)
    assert set(policies) == set(CertificatePurpose)
    access_point = policies[CertificatePurpose.ACCESS_POINT]
    assert [common_name(c) for c in access_point.issuers] == ["Accesspunkt CA-SDK-PROD"]
    assert [common_name(c) for c in access_point.anchors] == ["Rot CA eDelivery Accesspunkt-PROD"]
    assert policies[CertificatePurpose.SMP].issuers == ()
    organisation = policies[CertificatePurpose.ORGANISATION]
    assert {common_name(c) for c in organisation.issuers} == {
        "SITHS e-id Function CA v1",
        "ExpiTrust EID CA v4",
        "Swedish Public Sector Function CA v3",
    }, "certificates of all three must be accepted, and none that the SITHS root issued directly"
    assert all(policy.revocation is RevocationMode.REQUIRED for policy in policies.values())


@requires_digg
def test_a_purpose_without_certificates_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "smp")
    with pytest.raises(TrustFolderError, match="smp"):
        read_policies(folder)


@requires_digg
def test_a_file_that_is_no_certificate_is_refused_and_other_files_are_passed_over(folder: Path) -> None:
    (folder / "smp/readme.md").write_text("rubbish")
    read_policies(folder)
    (folder / "smp/other.pem").write_text("rubbish")
    with pytest.raises(TrustFolderError, match=r"other\.pem"):
        read_policies(folder)


def put(folder: Path, purpose: str, *authorities: pki.Authority) -> None:
    """Add certificates, each in its own file."""
    (folder / purpose).mkdir(parents=True, exist_ok=True)
    for each in authorities:
        file = folder / purpose / f"{common_name(each.certificate)}.pem"
        file.write_bytes(each.certificate.public_bytes(Encoding.PEM))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a folder with our own authorities."""
    put(tmp_path, "access-point", FIRST, ISSUER)
    put(tmp_path, "smp", FIRST)
    put(tmp_path, "organisation", FIRST)
    return tmp_path


def names(policies: Policies) -> tuple[list[str | None], list[str | None]]:
    """Return anchors and issuers of access points."""
    policy = policies[CertificatePurpose.ACCESS_POINT]
    return [common_name(each) for each in policy.anchors], [common_name(each) for each in policy.issuers]


def test_issuers_with_and_without_their_root_may_stand_side_by_side(own: Path) -> None:
    """DIGG publishes one issuer of organisations with its root, and two alone."""
    without_root = SECOND.subordinate("Without root", 4)
    put(own, "organisation", ISSUER, without_root)
    policy = read_policies(own)[CertificatePurpose.ORGANISATION]
    evidence = Evidence(crls=(FIRST.crl(), ISSUER.crl(), without_root.crl()))
    verdicts = {
        common_name(each.certificate): decide(each.issue("kommun").certificate, policy, evidence, NOW).reason
        for each in (ISSUER, without_root, FIRST)
    }
    assert verdicts == {
        "Issuer": TrustReason.TRUSTED,
        "Without root": TrustReason.TRUSTED,
        "First": TrustReason.UNKNOWN_ISSUER,
    }


def test_a_folder_that_does_not_change_is_not_read_again(own: Path) -> None:
    followed = followed_policies(own)
    assert followed.current() is followed.current()


def test_certificates_come_go_and_are_replaced_without_restart(own: Path) -> None:
    followed = followed_policies(own)
    assert names(followed.current()) == (["First"], ["Issuer"])
    put(own, "access-point", SECOND)
    assert names(followed.current()) == (["First", "Second"], ["Issuer", "Second"])
    (own / "access-point/First.pem").unlink()
    (own / "access-point/Issuer.pem").unlink()
    assert names(followed.current()) == (["Second"], [])
    (own / "access-point/Second.pem").write_bytes(FIRST.certificate.public_bytes(Encoding.DER))
    assert names(followed.current()) == (["First"], [])


def test_a_state_that_cannot_be_used_leaves_the_former_in_use_and_is_told_once(
    own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed = followed_policies(own)
    before = followed.current()
    whole = (own / "smp/First.pem").read_bytes()
    (own / "smp/First.pem").write_bytes(whole[:300])
    for _ in range(3):
        assert followed.current() is before
    (own / "smp/First.pem").unlink()
    assert followed.current() is before, "a folder without certificates may be about to be filled"
    shutil.rmtree(own)
    assert followed.current() is before
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 3
    assert all("trust folder" in record.getMessage() for record in warned)
    put(own, "access-point", SECOND)
    put(own, "smp", SECOND)
    put(own, "organisation", SECOND)
    assert names(followed.current()) == (["Second"], [])
