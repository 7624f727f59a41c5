"""A sign-in service by pysaml2, over HTTP, which signs everyone in as the person in its settings.

It reads its settings as a JSON document from standard input, prints its metadata in one line when it listens,
and stops when standard input ends. Further lines of input set deviations from correct behaviour.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tempfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import saml2.entity
from saml2 import BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.sigver import CryptoBackendXmlSec1, pre_encryption_part
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
ANOTHER = "https://another.test/metadata"
_encrypt = CryptoBackendXmlSec1.encrypt_assertion


class Idp:
    """The service, with its current deviations from correct behaviour."""

    def __init__(self, settings: dict[str, Any], port: int, folder: Path) -> None:
        self.settings = settings
        self.base = f"http://127.0.0.1:{port}"
        (folder / "key.pem").write_text(settings["key"])
        (folder / "certificate.pem").write_text(settings["certificate"])
        (folder / "sp.xml").write_text(settings["metadata"])
        another = re.sub('entityID="[^"]+"', f'entityID="{ANOTHER}"', settings["metadata"])
        (folder / "another.xml").write_text(another)
        self.server = Server(
            config=IdPConfig().load(
                {
                    "entityid": f"{self.base}/metadata",
                    "xmlsec_binary": settings["xmlsec1"],
                    "key_file": str(folder / "key.pem"),
                    "cert_file": str(folder / "certificate.pem"),
                    "metadata": {"local": [str(folder / "sp.xml"), str(folder / "another.xml")]},
                    "service": {
                        "idp": {
                            "endpoints": {
                                "single_sign_on_service": [(f"{self.base}/sso", BINDING_HTTP_REDIRECT)]
                            },
                            "want_authn_requests_signed": True,
                            "policy": {
                                "default": {"attribute_restrictions": None, "lifetime": {"minutes": 5}}
                            },
                        }
                    },
                }
            )
        )

    @property
    def metadata(self) -> str:
        return str(entity_descriptor(self.server.config)).replace("\n", "")

    def answer(self, query: dict[str, list[str]]) -> tuple[str, str]:
        """Return the address to which the response to a request is posted, and the encoded response."""
        asked = self.server.parse_authn_request(
            query["SAMLRequest"][0],
            BINDING_HTTP_REDIRECT,
            sigalg=query["SigAlg"][0],
            signature=query["Signature"][0],
        )
        assert asked is not None
        told = self.settings
        arguments = self.server.response_args(asked.message)
        name = NameID(format=NAMEID_FORMAT_PERSISTENT, text=told["subject"])
        response = self.server.create_authn_response(
            {"displayName": told["name"]},
            arguments["in_response_to"],
            told.get("destination", arguments["destination"]),
            told.get("audience", arguments["sp_entity_id"]),
            name_id=name,
            authn={"class_ref": told["level"], "authn_auth": self.base},
            sign_response=told.get("sign_response", False),
            sign_assertion=told.get("sign_assertion", True),
            encrypt_assertion=told.get("encrypt", True),
            encrypt_cert_assertion=told["encrypt_for"],
            encrypt_assertion_self_contained=told.get("self_contained", True),
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        return arguments["destination"], base64.b64encode(str(response).encode()).decode()


def encrypting_by(cipher: str | None) -> None:
    """Encrypt assertions with a given cipher; pysaml2 itself supports only triple DES."""
    if cipher is None:
        saml2.entity.pre_encryption_part = pre_encryption_part
        CryptoBackendXmlSec1.encrypt_assertion = _encrypt
        return

    def encrypt(self: Any, statement: Any, key: str, template: Any, _: str, xpath: str | None) -> Any:
        return _encrypt(self, statement, key, template, "aes-256", xpath)

    saml2.entity.pre_encryption_part = partial(pre_encryption_part, msg_enc=cipher)
    CryptoBackendXmlSec1.encrypt_assertion = encrypt


def main() -> None:
    settings = json.loads(sys.stdin.readline())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place, encoded = idp.answer(parse_qs(urlsplit(self.path).query))
            page = (
                f'<!doctype html><title>Idp</title><form method="post" action="{place}">'
                f'<input type="hidden" name="SAMLResponse" value="{encoded}">'
                "<button>Go on</button></form>"
            ).encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *arguments: Any) -> None:
            return

    with tempfile.TemporaryDirectory() as folder:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        idp = Idp(settings, server.server_address[1], Path(folder))
        encrypting_by(GCM)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(idp.metadata, flush=True)
        for line in sys.stdin:
            changed = json.loads(line)
            encrypting_by(changed.pop("cipher", GCM))
            idp.settings = {**settings, **changed}
            print("done", flush=True)


main()
