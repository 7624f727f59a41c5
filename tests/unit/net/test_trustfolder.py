"""Chain policies out of folders."""

import shutil
from pathlib import Path

import pytest

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.net.trustfolder import TrustFolderError, read_policies
from samdrift.trust.policy import RevocationMode
from samdrift.wire.certificates import common_name
from tests.official import DIGG, requires_digg

pytestmark = requires_digg


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
    }
    for file, place in places.items():
        (tmp_path / place).mkdir(exist_ok=True)
        shutil.copy(official / file, tmp_path / place)
    return tmp_path


def test_each_purpose_has_its_own_anchors_and_issuers(folder: Path) -> None:
    policies = read_policies(folder)
    assert set(policies) == set(CertificatePurpose)
    access_point = policies[CertificatePurpose.ACCESS_POINT]
    assert [common_name(c) for c in access_point.issuers] == ["Accesspunkt CA-SDK-PROD"]
    assert [common_name(c) for c in access_point.anchors] == ["Rot CA eDelivery Accesspunkt-PROD"]
    assert policies[CertificatePurpose.SMP].issuers == ()
    assert all(policy.revocation is RevocationMode.REQUIRED for policy in policies.values())


def test_a_purpose_without_certificates_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "smp")
    with pytest.raises(TrustFolderError, match="smp"):
        read_policies(folder)


def test_a_file_that_is_no_certificate_is_refused_and_other_files_are_passed_over(folder: Path) -> None:
    (folder / "smp/readme.md").write_text("rubbish")
    read_policies(folder)
    (folder / "smp/other.pem").write_text("rubbish")
    with pytest.raises(TrustFolderError, match=r"other\.pem"):
        read_policies(folder)
