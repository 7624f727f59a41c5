"""A year of signed statements, verified without Samdrift: `verify.py EXPORT`.

It requires Python, `cryptography` and `ssh-keygen`. Every line is a statement with its signature; keys are
enrolled by earlier lines, so that nothing else is trusted but the custodians' keys at the beginning, which
it prints. SSHSIG is verified by `ssh-keygen -Y verify`, and WebAuthn by plain ECDSA, or by RSA or EdDSA if
the authenticator's key is such, over the challenge, which is the statement's SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key


def from_url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fingerprint(key):
    if key["scheme"] == "webauthn":
        return hashlib.sha256(from_url(key["public"])).hexdigest()
    return hashlib.sha256(base64.b64decode(key["public"].split()[1])).hexdigest()


def by_ssh(key, statement, blob, namespace, folder):
    lines = [blob[place : place + 70] for place in range(0, len(blob), 70)]
    armoured = ["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]
    (folder / "signature").write_text("\n".join(armoured))
    (folder / "allowed").write_text(f"signer {key['public']}\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", folder / "allowed", "-I", "signer", "-n", namespace]
    ended = subprocess.run([*command, "-s", folder / "signature"], input=statement, capture_output=True)
    return ended.returncode == 0


def by_webauthn(key, statement, signature):
    client, data = from_url(signature["client-data"]), from_url(signature["authenticator-data"])
    shown = json.loads(client)
    if from_url(shown["challenge"]) != hashlib.sha256(statement).digest():
        return False
    if shown["type"] != "webauthn.get" or shown["origin"].split("//")[1].split(":")[0] != key["site"]:
        return False
    if data[:32] != hashlib.sha256(key["site"].encode()).digest() or data[32] & 5 != 5:
        return False
    public = load_der_public_key(from_url(key["public"]))
    signed = data + hashlib.sha256(client).digest()
    made = from_url(signature["signature"])
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(made, signed, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(made, signed)
    else:
        public.verify(made, signed, ec.ECDSA(hashes.SHA256()))
    return True


def main():
    keys, counted = {}, {"statements": 0, "sshsig": 0, "webauthn": 0, "custodians": []}
    with tempfile.TemporaryDirectory() as name:
        for number, line in enumerate(Path(sys.argv[1]).read_bytes().splitlines(), 1):
            signed = json.loads(line)
            statement = signed["statement"].encode()
            fields = json.loads(statement)
            if fields["kind"] == "enrol":
                key = fields["key"]
                keys[fingerprint(key)] = (key, fields["to"])
                if fields["to"] == fields["by"] and fields["by"].startswith("custodian:"):
                    counted["custodians"].append(key["public"])
            key, whose = keys[signed["key"]]
            signature = signed["signature"]
            if whose != fields["by"]:
                sys.exit(f"statement {number}: signed with another person's key")
            if "sshsig" in signature:
                kind = "sshsig"
                namespace = "samdrift-" + fields["kind"]
                good = by_ssh(key, statement, signature["sshsig"], namespace, Path(name))
            else:
                kind = "webauthn"
                good = by_webauthn(key, statement, signature)
            if not good:
                sys.exit(f"statement {number}: the signature does not hold")
            counted["statements"] += 1
            counted[kind] += 1
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
