"""Mutants that remove guards of the tree, the notes and the policies."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_MERKLE = "tests/unit/audit/test_merkle.py"
_NOTES = "tests/unit/audit/test_notes.py"
_POLICIES = "tests/unit/audit/test_policies.py"
_PROOFS = "tests/unit/audit/test_proofs.py"
_TILES = "tests/unit/audit/test_tiles.py"

TLOG = (
    Mutant(
        "tlog: a leaf is hashed with its own prefix",
        "audit/merkle.py",
        'return hashlib.sha256(b"\\x00" + entry).digest()',
        'return hashlib.sha256(b"\\x01" + entry).digest()',
        (_MERKLE,),
    ),
    Mutant(
        "tlog: an inclusion proof ends at the root",
        "audit/merkle.py",
        "    return last == 0 and found == root",
        "    return found == root",
        (_MERKLE,),
    ),
    Mutant(
        "tlog: an inclusion proof has no hash too many",
        "audit/merkle.py",
        "        if last == 0:\n            return False\n        if place & 1 or place == last:\n"
        "            found = node_hash(each, found)",
        "        if place & 1 or place == last:\n            found = node_hash(each, found)",
        (_MERKLE,),
    ),
    Mutant(
        "tlog: a consistency proof comes from the old root",
        "audit/merkle.py",
        "return last == 0 and before == old_root and after == new_root",
        "return last == 0 and after == new_root",
        (_MERKLE,),
    ),
    Mutant(
        "tlog: a consistency proof leads to the new root",
        "audit/merkle.py",
        "return last == 0 and before == old_root and after == new_root",
        "return last == 0 and before == old_root",
        (_MERKLE,),
    ),
    Mutant(
        "tlog: two trees of one size are the same tree",
        "audit/merkle.py",
        "return not proof and old_root == new_root",
        "return not proof",
        (_MERKLE,),
    ),
    Mutant(
        "tlog: a frontier fits its size",
        "audit/merkle.py",
        "if len(data) != 8 + HASH_SIZE * size.bit_count() or size > MAX_NUMBER:",
        "if len(data) < 8:",
        (_MERKLE,),
    ),
    Mutant(
        "tlog: a signature in a known name holds or spoils the note",
        "audit/notes.py",
        "if not key.verifies(self.text, signature.signature):",
        "if not signature.signature:",
        (_NOTES,),
    ),
    Mutant(
        "tlog: a log signs under its own name alone",
        "audit/notes.py",
        "key.algorithm is Algorithm.ED25519 and key.name == checkpoint.origin",
        "key.algorithm is Algorithm.ED25519",
        (_NOTES,),
    ),
    Mutant(
        "tlog: a witness's signature is not a log's",
        "audit/notes.py",
        "key.algorithm is Algorithm.ED25519 and key.name == checkpoint.origin",
        "True",
        (_NOTES,),
    ),
    Mutant(
        "tlog: a cosignature covers its time",
        "audit/notes.py",
        "message, signature = cosigned(text, time), signature[_TIME_SIZE:]",
        "message, signature = cosigned(text, 5), signature[_TIME_SIZE:]",
        (_NOTES,),
    ),
    Mutant(
        "tlog: base64 has one spelling",
        "audit/reading.py",
        "    if to_base64(data) != text:\n"
        '        raise Malformed("it is not base64 in canonical form", where)\n',
        "",
        (_NOTES,),
    ),
    Mutant(
        "tlog: the hash in a key is that of its name and key",
        "audit/notes.py",
        "        if digest != key.id.hex():\n"
        '            raise Malformed("the hash in the key is not that of its name and key", where)\n',
        "",
        (_NOTES,),
    ),
    Mutant(
        "tlog: too few witnesses are not a quorum",
        "audit/policies.py",
        ">= group.enough",
        ">= 1",
        (_POLICIES,),
    ),
    Mutant(
        "tlog: one witness counts in one group",
        "audit/policies.py",
        "            if member in self._members:\n"
        '                raise Malformed("a member is already in another group", where)\n',
        "",
        (_POLICIES,),
    ),
    Mutant(
        "tlog: one key is not two witnesses",
        "audit/policies.py",
        "if any(member.key.public == other.key.public for other in others):",
        "if not member.key.public:",
        (_POLICIES,),
    ),
    Mutant(
        "tlog: a checkpoint without its quorum does not hold",
        "audit/policies.py",
        "        if not self.suffices(signed.cosigned):\n"
        '            raise Unverified("too few of the policy\'s witnesses have cosigned it")\n'
        "        return signed",
        "        return signed",
        (_POLICIES,),
    ),
    Mutant(
        "tlog: an entry is in the tree of its proof",
        "audit/proofs.py",
        "if not includes(leaf, self.index, signed.checkpoint.size, self.path, signed.checkpoint.root):",
        "if self.index > signed.checkpoint.size:",
        (_PROOFS,),
    ),
    Mutant(
        "tlog: a bundle has as many entries as its width",
        "audit/tiles.py",
        "if place != len(content) or len(entries) != self.width:",
        "if place > len(content):",
        (_TILES,),
    ),
)
