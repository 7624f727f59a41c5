"""Revocation lists and OCSP over HTTP (component-pki 2.8, 2.9; RFC 6960 A.1, RFC 5280 4.2.1.13)."""

from __future__ import annotations

import base64

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.federation.authority import Authority
from samdrift.federation.shapes import Ca

MAX_REQUEST = 64 << 10
CRL = "application/pkix-crl"
OCSP_RESPONSE = "application/ocsp-response"
_CRL_PATHS = {f"{ca}.crl": ca for ca in Ca}


def responder(authority: Authority) -> Starlette:
    """``/crl/{ca}.crl``, and ``/ocsp/{ca}`` by GET and POST; any path for OCSP tells of every authority."""

    async def crl(request: Request) -> Response:
        ca = _CRL_PATHS.get(request.path_params["file"])
        if ca is None:
            return Response(status_code=404)
        return Response(authority.crl(ca), media_type=CRL)

    async def ocsp(request: Request) -> Response:
        if request.method == "POST":
            asked = b""
            async for chunk in request.stream():
                asked += chunk
                if len(asked) > MAX_REQUEST:
                    return Response(status_code=413)
        else:
            asked = _from_path(request.path_params.get("request", ""))
        return Response(authority.ocsp(asked), media_type=OCSP_RESPONSE)

    return Starlette(
        routes=[
            Route("/crl/{file}", crl),
            Route("/ocsp/{ca}", ocsp, methods=["POST"]),
            Route("/ocsp/{ca}/{request:path}", ocsp, methods=["GET"]),
        ]
    )


def _from_path(text: str) -> bytes:
    """The request in the path of a GET; what cannot be read is left to be refused as malformed."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
