"""Revocation lists and OCSP over HTTP (component-pki 2.8, 2.9; RFC 6960 A), judged by OpenSSL."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp

from samdrift.federation.server import MAX_REQUEST, Failure, LocalFederation, Service
from samdrift.federation.shapes import Ca
from tests.programs import requires

requires_openssl = requires("openssl", "openssl")


@pytest.fixture
def certificate(federation: LocalFederation, key: rsa.RSAPrivateKey) -> x509.Certificate:
    return federation.authority.issue_access_point("AP0001-SDK-DEMO", key.public_key())


def pointers(certificate: x509.Certificate) -> tuple[str, str]:
    """Return the addresses of the revocation list and of OCSP that the certificate itself states."""
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    names = points[0].full_name
    assert names is not None
    return str(names[0].value), str(access[0].access_location.value)


def ocsp_request(federation: LocalFederation, certificate: x509.Certificate) -> bytes:
    issuer = federation.authority.certificate(Ca.ACCESS_POINT)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    return builder.build().public_bytes(serialization.Encoding.DER)


async def test_list_is_where_the_certificate_says(
    federation: LocalFederation, certificate: x509.Certificate, http: httpx.AsyncClient
) -> None:
    federation.authority.revoke(certificate)
    answer = await http.get(pointers(certificate)[0])
    assert answer.headers["content-type"] == "application/pkix-crl"
    revoked = x509.load_der_x509_crl(answer.content)
    assert revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
    assert (await http.get(f"{federation.responder_url}/crl/unknown.crl")).status_code == 404


async def test_ocsp_by_post_and_by_get(
    federation: LocalFederation, certificate: x509.Certificate, http: httpx.AsyncClient
) -> None:
    url, request = pointers(certificate)[1], ocsp_request(federation, certificate)
    encoded = base64.b64encode(request).decode()
    for answer in (
        await http.post(url, content=request, headers={"content-type": "application/ocsp-request"}),
        await http.get(f"{url}/{quote(encoded, safe='')}"),
        await http.get(f"{url}/{encoded}"),
    ):
        assert answer.headers["content-type"] == "application/ocsp-response"
        status = ocsp.load_der_ocsp_response(answer.content).certificate_status
        assert status is ocsp.OCSPCertStatus.GOOD


async def test_ocsp_refuses_what_is_no_request(
    federation: LocalFederation, certificate: x509.Certificate, http: httpx.AsyncClient
) -> None:
    url = pointers(certificate)[1]
    for answer in (
        await http.post(url, content=b"no"),
        await http.get(f"{url}/no"),
        await http.get(f"{url}/"),
    ):
        status = ocsp.load_der_ocsp_response(answer.content).response_status
        assert status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert (await http.post(url, content=b"x" * (MAX_REQUEST + 1))).status_code == 413


async def test_responder_can_fail(
    federation: LocalFederation, certificate: x509.Certificate, http: httpx.AsyncClient
) -> None:
    federation.outages.failures[Service.RESPONDER] = Failure.ERROR
    assert (await http.get(pointers(certificate)[0])).status_code == 503


@requires_openssl
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
async def test_openssl_asks_and_believes_the_answer(
    federation: LocalFederation, certificate: x509.Certificate, tmp_path: Path, nonce: str
) -> None:
    for name, one in (
        ("root", federation.authority.certificate(Ca.ACCESS_POINT_ROOT)),
        ("issuer", federation.authority.certificate(Ca.ACCESS_POINT)),
        ("leaf", certificate),
    ):
        (tmp_path / name).write_bytes(one.public_bytes(serialization.Encoding.PEM))

    async def said() -> str:
        arguments = ["ocsp", "-CAfile", "root", "-issuer", "issuer", "-cert", "leaf", nonce, "-url"]
        process = await asyncio.create_subprocess_exec(
            "openssl",
            *arguments,
            pointers(certificate)[1],
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return output.decode()

    good = await said()
    assert "Response verify OK" in good
    assert "leaf: good" in good
    federation.authority.revoke(certificate)
    assert "leaf: revoked" in await said()
