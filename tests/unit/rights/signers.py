"""People who sign in tests: by SSH key, security key, authenticator, or code on paper."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from samdrift.rights import ORGANISATION, Approved, Given, Right, Rights, Statement, Subject
from samdrift.rights.folds import FOLDS
from samdrift.rights.keyacts import Enrolled, PublicKey, Scheme
from samdrift.rights.record import GOOD, Record
from samdrift.rights.signing import Signed, challenge, namespace
from samdrift.rights.statements import Act
from samdrift.wire.crypto.sshsig import SshKey, armoured, public_line, sign
from samdrift.wire.webauthn import Assertion, encoded
from tests.throwawaykeys import rsa_key
from tests.unit.rights.building import ANNA, BO, DAY, HABO, KARIN, KURT

SITE = "styrning.habo.se"
YEAR = timedelta(days=300)
NAMES = {ANNA: "Anna Andersson", BO: "Bo Berg"}
"""Names in enrolments; all others are called Kim Åberg."""


def text(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


class Signer(ABC):
    """One way of signing."""

    subject: Subject
    key: PublicKey

    @abstractmethod
    def sign(self, statement: Statement) -> Signed: ...


@dataclass
class Ssh(Signer):
    """An Ed25519 key in a file or as a code on paper."""

    subject: Subject
    seed: str
    scheme: Scheme = Scheme.SSH
    private: Ed25519PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.seed.encode()).digest())
        self.key = PublicKey(self.scheme, public_line(self.private))

    def sign(self, statement: Statement, name: str | None = None) -> Signed:
        signature = sign(self.private, statement.content, name or namespace(statement))
        return Signed.by_ssh(statement, signature)


@dataclass
class SecurityKey(Signer):
    """An ECDSA or Ed25519 key on a security key, which has a counter."""

    subject: Subject
    seed: int
    ecdsa: bool = False
    counter: int = 0
    flags: int = 5

    def __post_init__(self) -> None:
        self.application = b"ssh:"
        if self.ecdsa:
            self.ec = ec.derive_private_key(self.seed + 10**9, ec.SECP256R1())
            point = self.ec.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            self.kind = b"sk-ecdsa-sha2-nistp256@openssh.com"
            blob = text(self.kind) + text(b"nistp256") + text(point) + text(self.application)
        else:
            self.ed = Ed25519PrivateKey.from_private_bytes(self.seed.to_bytes(32))
            self.kind = b"sk-ssh-ed25519@openssh.com"
            public = self.ed.public_key().public_bytes_raw()
            blob = text(self.kind) + text(public) + text(self.application)
        self.ssh = SshKey.read(blob)
        self.key = PublicKey(Scheme.SSH, self.ssh.line)

    def sign(self, statement: Statement) -> Signed:
        self.counter += 1
        return Signed.by_ssh(statement, self.armoured(statement.content, namespace(statement)))

    def armoured(self, message: bytes, name: str) -> str:
        head = text(name.encode()) + text(b"") + text(b"sha512")
        data = b"SSHSIG" + head + text(hashlib.sha512(message).digest())
        tail = self.flags.to_bytes(1) + self.counter.to_bytes(4)
        signed = hashlib.sha256(self.application).digest() + tail + hashlib.sha256(data).digest()
        if self.ecdsa:
            r, s = decode_dss_signature(self.ec.sign(signed, ec.ECDSA(hashes.SHA256())))
            numbers = (text(each.to_bytes((each.bit_length() // 8) + 1)) for each in (r, s))
            value = text(b"".join(numbers))
        else:
            value = text(self.ed.sign(signed))
        raw = text(self.kind) + value + tail
        return armoured(b"SSHSIG" + (1).to_bytes(4) + text(self.ssh.blob) + head + text(raw))


@dataclass
class Authenticator(Signer):
    """An authenticator in a browser; a test can replace every value of an assertion."""

    subject: Subject
    seed: int
    counter: int = 0
    origin: str = f"https://{SITE}"
    site: str = SITE
    flags: int = 5
    kind: str = "webauthn.get"
    rsa: bool = False
    """True for an authenticator that makes only RSA keys, as Windows Hello does on some computers."""

    def __post_init__(self) -> None:
        self.private = ec.derive_private_key(self.seed + 1, ec.SECP256R1())
        self.private_rsa = rsa_key() if self.rsa else None
        public = self.private_rsa.public_key() if self.private_rsa else self.private.public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        credential = encoded(hashlib.sha256(der).digest())
        self.key = PublicKey(Scheme.WEBAUTHN, encoded(der), SITE, credential)

    def sign(self, statement: Statement) -> Signed:
        self.counter += 1
        return Signed(statement, self.key.fingerprint, self.asserted(challenge(statement)))

    def asserted(self, wanted: bytes) -> Assertion:
        client = {
            "type": self.kind,
            "challenge": encoded(wanted),
            "origin": self.origin,
            "crossOrigin": False,
        }
        seen = json.dumps(client, separators=(",", ":")).encode()
        data = hashlib.sha256(self.site.encode()).digest() + self.flags.to_bytes(1) + self.counter.to_bytes(4)
        signed = data + hashlib.sha256(seen).digest()
        if self.private_rsa is not None:
            return Assertion(data, seen, self.private_rsa.sign(signed, PKCS1v15(), hashes.SHA256()))
        signature = self.private.sign(signed, ec.ECDSA(hashes.SHA256()))
        return Assertion(data, seen, signature)


@dataclass
class House:
    """An organisation with its record; its statements are a minute apart."""

    organisation: str = HABO
    now: datetime = DAY
    signers: dict[Subject, Signer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.record = Record(self.organisation, FOLDS)

    def stated(self, by: Subject, act: Act, organisation: str = "") -> Statement:
        return Statement(organisation or self.organisation, by, self.now, "beslut 12", act)

    def sign(self, by: Subject, act: Act) -> Signed:
        self.now += timedelta(minutes=1)
        return self.signers[by].sign(self.stated(by, act))

    def state(self, by: Subject, act: Act) -> Statement:
        signed = self.sign(by, act)
        verdict = self.record.judge(signed, self.now)
        assert verdict in GOOD, verdict
        assert self.record.append(signed) is verdict
        return signed.statement

    def enrolled(self, signer: Signer, by: Subject, approver: Subject) -> Statement:
        asked = self.state(by, self.enrolment(signer))
        self.state(approver, Approved(asked.digest))
        self.signers[signer.subject] = signer
        return asked

    def enrolment(self, signer: Signer) -> Enrolled:
        return Enrolled(signer.subject, NAMES.get(signer.subject, "Kim Åberg"), signer.key, self.now + YEAR)

    def given(self, right: Right, to: Subject, by: Subject, approver: Subject) -> Statement:
        start = self.now + timedelta(minutes=1)
        what = Rights(to, ORGANISATION, frozenset({right}))
        asked = self.state(by, Given(what, start, start + YEAR, asked=True))
        return self.state(approver, Approved(asked.digest))


def founded(organisation: str = HABO, now: datetime = DAY) -> House:
    """Return a house whose custodians Karin and Kurt appointed Anna administrator and Bo security officer."""
    house = House(organisation, now)
    for custodian in (KARIN, KURT):
        own = Ssh(custodian, f"{custodian}")
        house.signers[custodian] = own
        house.state(custodian, house.enrolment(own))
    house.given(Right.ADMINISTRATOR, ANNA, KARIN, KURT)
    house.given(Right.SECURITY_OFFICER, BO, KURT, KARIN)
    asked = [house.state(KARIN, house.enrolment(Authenticator(ANNA, 1)))]
    asked.append(house.state(KURT, house.enrolment(Ssh(BO, "bo"))))
    for custodian, one in zip((KURT, KARIN), asked, strict=True):
        house.state(custodian, Approved(one.digest))
    house.signers |= {ANNA: Authenticator(ANNA, 1), BO: Ssh(BO, "bo")}
    return house
