"""Signatures in OpenSSH's format: `ssh-keygen` agrees on each, in both directions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samdrift.rights import Subject
from samdrift.wire.crypto.sshsig import SshKey, check, public_line, sign, unarmoured, verify
from tests.programs import requires
from tests.unit.rights.signers import SecurityKey

MESSAGE, NAMESPACE = b'{"kind":"grant"}', "samdrift-grant"
OWN = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KIM = Subject.parse("person:kim")


needs_ssh_keygen = requires("ssh-keygen", "openssh-client")


def agrees(folder: Path, line: str, message: bytes, namespace: str, signature: str) -> bool:
    """Return whether `ssh-keygen -Y verify` accepts a signature."""
    (folder / "allowed").write_text(f"kim {line}\n")
    (folder / "signature").write_text(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", folder / "allowed", "-I", "kim", "-n", namespace]
    return not subprocess.run(
        [*command, "-s", folder / "signature"], input=message, capture_output=True
    ).returncode


@needs_ssh_keygen
@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521")], ids=str)
def test_what_ssh_keygen_signs_holds_here(tmp_path: Path, kind: tuple[str, ...]) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", file], check=True)
    line = " ".join(file.with_suffix(".pub").read_text().split()[:2])
    signed = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", file, "-n", NAMESPACE],
        input=MESSAGE,
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert verify(line, MESSAGE, NAMESPACE, signed)
    assert not verify(line, MESSAGE + b" ", NAMESPACE, signed)
    assert not verify(line, MESSAGE, "samdrift-approve", signed)
    assert not verify(public_line(OWN), MESSAGE, NAMESPACE, signed)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True, check=True).stdout.decode()
    assert SshKey.parse(line).fingerprint in shown.split()


@needs_ssh_keygen
def test_what_is_signed_here_holds_for_ssh_keygen(tmp_path: Path) -> None:
    signed, line = sign(OWN, MESSAGE, NAMESPACE), public_line(OWN)
    assert agrees(tmp_path, line, MESSAGE, NAMESPACE, signed)
    assert not agrees(tmp_path, line, MESSAGE, "samdrift-approve", signed)
    assert not agrees(tmp_path, line, MESSAGE + b" ", NAMESPACE, signed)


@needs_ssh_keygen
@pytest.mark.parametrize("ecdsa", [False, True], ids=["sk-ed25519", "sk-ecdsa"])
@pytest.mark.parametrize("seed", range(1, 9))
def test_a_security_key_counts_and_ssh_keygen_agrees(tmp_path: Path, seed: int, ecdsa: bool) -> None:
    key = SecurityKey(KIM, seed, ecdsa=ecdsa, counter=41 + seed)
    signed = key.armoured(MESSAGE, NAMESPACE)
    found = check(key.ssh, MESSAGE, unarmoured(signed))
    assert found is not None
    assert (found.counter, found.present, found.verified, found.on_security_key) == (
        41 + seed,
        True,
        True,
        True,
    )
    assert agrees(tmp_path, key.ssh.line, MESSAGE, NAMESPACE, signed)
    key.counter += 1
    another = key.armoured(MESSAGE, NAMESPACE)
    assert another != signed
    assert agrees(tmp_path, key.ssh.line, MESSAGE, NAMESPACE, another)


def test_a_security_key_that_was_not_touched_signs_nothing() -> None:
    """This is stricter than `ssh-keygen -Y verify`, which leaves the check to its caller."""
    key = SecurityKey(KIM, 7, flags=0)
    assert not verify(key.ssh.line, MESSAGE, NAMESPACE, key.armoured(MESSAGE, NAMESPACE))


@pytest.mark.parametrize("place", range(0, 180, 3))
def test_no_byte_of_a_signature_can_be_another(place: int) -> None:
    blob = bytearray(unarmoured(sign(OWN, MESSAGE, NAMESPACE)))
    blob[place % len(blob)] ^= 1
    try:
        found = check(SshKey.parse(public_line(OWN)), MESSAGE, bytes(blob))
    except ValueError:
        return
    assert found is None


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def points_of_small_order() -> list[bytes]:
    """Return every encoding of a point whose order divides eight: y (RFC 8032) also above P, either sign."""
    eighth = pow(2, (P - 1) // 4, P)  # a square root of -1
    ordinates = {0, 1, P - 1}
    # A point has order 8 if doubling it gives y = 0: x^2 = -y^2, hence -d y^4 - 2 y^2 + 1 = 0 on the curve.
    root = pow(1 + D, (P + 3) // 8, P)
    root = root if root * root % P == (1 + D) % P else root * eighth % P
    for each in (root, -root):
        square = (-1 + each) * pow(D, -1, P) % P
        found = pow(square, (P + 3) // 8, P)
        found = found if found * found % P == square else found * eighth % P
        if found * found % P == square:
            ordinates |= {found, P - found}
    spelled = {each + more for each in ordinates for more in (0, P) if each + more < 2**255}
    return [(each | sign << 255).to_bytes(32, "little") for each in spelled for sign in (0, 1)]


def test_a_key_for_which_anybody_can_sign_is_refused() -> None:
    points = points_of_small_order()
    assert len(points) == 14
    for point in points:
        blob = b"".join(len(each).to_bytes(4) + each for each in (b"ssh-ed25519", point))
        with pytest.raises(ValueError, match="small order"):
            SshKey.read(blob)


@pytest.mark.parametrize(
    "line",
    [
        *("", "ssh-ed25519", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", "ssh-ed25519 AAAA"),
        *(f"{public_line(OWN)} kim", public_line(OWN).replace("ssh-ed25519 ", "ssh-rsa ")),
        *("ssh-ed25519 ÅÄÖ", public_line(OWN)[:-4], f"{public_line(OWN)}AAAA"),
    ],
)
def test_another_kind_of_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        SshKey.parse(line)


@pytest.mark.parametrize("ecdsa", [False, True], ids=["sk-ed25519", "sk-ecdsa"])
@pytest.mark.parametrize(
    ("flags", "present", "verified"), [(0, False, False), (1, True, False), (4, False, True), (5, True, True)]
)
def test_touch_and_pin_are_told_apart(flags: int, present: bool, verified: bool, ecdsa: bool) -> None:
    """A key that is used without touch, its PIN typed earlier, does not prove that its owner is present."""
    key = SecurityKey(KIM, 7, ecdsa=ecdsa, flags=flags)
    signed = key.armoured(MESSAGE, NAMESPACE)
    found = check(key.ssh, MESSAGE, unarmoured(signed))
    assert found is not None
    assert (found.present, found.verified) == (present, verified)
    assert verify(key.ssh.line, MESSAGE, NAMESPACE, signed) is present
