"""The next step that `org keys install` names, with and without a former key in addition to the new one."""

from __future__ import annotations

from samdrift.cli.org.keys import Which, _next
from samdrift.wire.crypto.certificates import fingerprint
from tests.unit.net.test_tls import FIRST, localhost


def test_a_first_key_has_no_former_one_beside_it() -> None:
    own = localhost(FIRST).certificate
    assert _next(Which.SIGNING, own, None, first=True) == [
        "signs from now on; have its certificate published: samdrift org keys publish"
    ]
    assert _next(Which.TLS_CLIENT, own, None, first=True)[1] == f'"message-service" = "{fingerprint(own)}"'


def test_a_later_key_is_known_before_it_is_used() -> None:
    own = localhost(FIRST).certificate
    (said, _) = _next(Which.SIGNING, own, None, first=False)
    assert said.endswith("have the certificate published first, in addition to the former one:")
    assert _next(Which.TLS_CLIENT, own, None, first=False)[1] == f'"next" = "{fingerprint(own)}"'
