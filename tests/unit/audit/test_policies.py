"""Policies: sufficient sets of witnesses, and files that are not policies."""

from __future__ import annotations

from itertools import product

import pytest

from samdrift.audit.notes import Checkpoint, VerifierKey
from samdrift.audit.policies import MAX_LINES, MAX_POLICY, Policy
from samdrift.audit.reading import Malformed, Unverified
from tests.unit.audit.signing import LOG, Signer, checkpoint, log, tree, witness

XS = [witness(f"x{number}.example") for number in (1, 2, 3)]
YS = [witness(f"y{number}.example") for number in (1, 2, 3)]
EXAMPLE = "\n".join(
    [
        "# two operators",
        f"log {LOG.key} https://log.example/",
        "",
        *(f"witness X{place}\t{each.key}  http://x{place}.example/" for place, each in enumerate(XS, 1)),
        "group X-witnesses 2 X1 X2 X3",
        *(f"  witness Y{place} {each.key}" for place, each in enumerate(YS, 1)),
        "group Y-witnesses any Y1 Y2 Y3",
        "\t# both of them",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
        "",
    ]
).encode()
"""The example of c2sp.org/tlog-policy, with keys."""


def test_the_quorum_of_the_example_is_what_its_text_says() -> None:
    policy = Policy.parse(EXAMPLE)
    for chosen in product((False, True), repeat=6):
        cosigners = [each for each, taken in zip([*XS, *YS], chosen, strict=True) if taken]
        keys: list[VerifierKey] = [each.key for each in cosigners]
        suffices = sum(chosen[:3]) >= 2 and any(chosen[3:])
        assert policy.suffices(keys) == suffices
        content = checkpoint(8, [LOG, *cosigners])
        if suffices:
            assert set(policy.open(content).cosigned) == set(keys)
        else:
            with pytest.raises(Unverified, match="too few"):
                policy.open(content)


def test_addresses_are_kept() -> None:
    policy = Policy.parse(EXAMPLE)
    assert policy.logs[0].address == "https://log.example/"
    assert policy.witnesses["X1"].address == "http://x1.example/"
    assert policy.witnesses["Y1"].address is None


def test_it_is_witnessed_when_the_last_of_the_quorum_saw_it() -> None:
    stated = Checkpoint(LOG.name, 8, tree(8).root())
    times = {XS[0]: 30, XS[1]: 10, XS[2]: 20, YS[0]: 50, YS[1]: 15}
    content = stated.signed(
        [LOG.line(stated.text), *(each.line(stated.text, at) for each, at in times.items())]
    )
    policy = Policy.parse(EXAMPLE)
    assert policy.witnessed_at(policy.open(content)) == 20
    alone = Policy.parse(f"log {LOG.key}\nquorum none\n".encode())
    assert alone.witnessed_at(alone.open(content)) is None
    other = Policy.parse(f"log {LOG.key}\nwitness Z {witness('z').key}\nquorum Z\n".encode())
    with pytest.raises(Unverified):
        other.witnessed_at(alone.open(content))


def test_any_of_the_listed_logs_signs_under_its_own_name_alone() -> None:
    other = log("log.example/other")
    policy = Policy.parse(f"log {LOG.key}\nlog {other.key}\nquorum none\n".encode())
    assert policy.open(checkpoint(8)).log == LOG.key
    assert policy.open(checkpoint(8, [other], origin=other.name)).log == other.key
    with pytest.raises(Unverified):
        policy.open(checkpoint(8, [other]))


def test_without_a_log_nothing_holds() -> None:
    with pytest.raises(Unverified):
        Policy.parse(b"quorum none\n").open(checkpoint(8))


W1, W2 = (f"witness W{place} {each.key}" for place, each in enumerate(XS[:2], 1))


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ([], ""),
        (["quorum W1"], "line 1"),
        (["quorum none", "quorum none"], "line 2"),
        (["quorum none x"], "line 1"),
        (["quorum"], "line 1"),
        (["Quorum none"], "line 1"),
        (["witnesses"], "line 1"),
        (["log"], "line 1"),
        ([f"log {LOG.key} a b"], "line 1"),
        ([f"log {XS[0].key}"], "line 1"),
        ([f"log {LOG.key}", f"log {LOG.key}"], "line 2"),
        ([f"log {LOG.key}x"], "line 1"),
        ([f"witness W {LOG.key}"], "line 1"),
        ([f"witness none {XS[0].key}"], "line 1"),
        (["witness W"], "line 1"),
        ([f"{W1} a b"], "line 1"),
        ([W1, W1], "line 2"),
        ([W1, W1.replace("W1", "W3")], "line 2"),
        ([W1, W2.replace("W2", "W1")], "line 2"),
        ([W1, "group W1 any W1"], "line 2"),
        ([W1, "group G any W2"], "line 2"),
        ([W1, "group G any G"], "line 2"),
        ([W1, "group G any none"], "line 2"),
        ([W1, "group G any"], "line 2"),
        ([W1, "group G 0 W1"], "line 2"),
        ([W1, "group G 2 W1"], "line 2"),
        ([W1, "group G 01 W1"], "line 2"),
        ([W1, "group G some W1"], "line 2"),
        ([W1, W2, "group G 1 W1 W1"], "line 3"),
        ([W1, W2, "group G any W1", "group H any W1 W2"], "line 4"),
        ([W1, "quorum W2"], "line 2"),
        (["quorum W1", W1], "line 1"),
        ([f"log\x0b{LOG.key}"], "line 1"),
        ([W1.replace(" ", "\u00a0")], "line 1"),
        (["quorum none\x7f"], "line 1"),
        (["quorum none\r"], "line 1"),
        (["#"] * MAX_LINES + ["quorum none"], ""),
        (["#" * MAX_POLICY, "quorum none"], ""),
    ],
)
def test_a_malformed_policy_is_refused_with_the_line(lines: list[str], where: str) -> None:
    with pytest.raises(Malformed) as refused:
        Policy.parse("".join(f"{line}\n" for line in lines).encode())
    assert refused.value.where == where


def test_a_policy_that_ends_early_is_refused() -> None:
    with pytest.raises(Malformed) as refused:
        Policy.parse(EXAMPLE[:-1])
    assert refused.value.where == "line 14"


def test_names_are_octets() -> None:
    kelvin, latin = "\u212a".encode(), b"K"
    content = b"witness %b %b\nwitness %b %b\ngroup \xff 1 %b %b\nquorum \xff\n" % (
        kelvin,
        str(XS[0].key).encode(),
        latin,
        str(XS[1].key).encode(),
        kelvin,
        latin,
    )
    policy = Policy.parse(content)
    assert policy.suffices([XS[1].key])
    assert not policy.suffices([])


def test_a_signer_of_tests_has_the_same_keys_in_every_run() -> None:
    assert Signer(LOG.name, LOG.algorithm).key == LOG.key
