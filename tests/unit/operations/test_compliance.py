"""Collectors of the compliance report: each reports a fault, and is silent if nothing can be seen."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.administration.administration import Administration
from samdrift.administration.keyholder import HeldKeys
from samdrift.administration.logs import Standing
from samdrift.audit.merkle import Frontier
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.governance.report import Collected
from samdrift.installation.events import RunEvent
from samdrift.installation.logturns import LogPlace
from samdrift.isolationcheck.check import CheckEvent
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.messageservice.events import MTEvent
from samdrift.net.clamd import ClamdVersion
from samdrift.operations import compliance
from samdrift.operations.doctor import Scope
from samdrift.operations.findings import Finding, State
from samdrift.vault.logtree import OpenRefusal, TreeState, WitnessState
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, ParticipantIdentifier
from samdrift.wire.smp import PublishedCertificates
from tests import pki
from tests.unit.administration import test_checklist as whole
from tests.vaults import NOW, Installation

CHECKER = Principal(PrincipalKind.WORKER, "isolation-check")
PASSED = {"attempts": "90", "denied": "90", "leaks": "0", "untried": "0", "passed": "true"}
LEAKED = PASSED | {"denied": "89", "leaks": "1", "passed": "false"}


async def seen(
    installation: Installation, organisation: ParticipantIdentifier
) -> dict[str, Collected | None]:
    """Return the evidence in the organisation's logs."""
    here = cast(Administration, installation)
    now = datetime.now(UTC)
    last = await compliance._last_entries(here, organisation, now)
    judges: dict[str, Any] = {
        "isolation:checked": compliance.of_isolation,
        "log:reconciliation:made": compliance.of_reconciliation,
    }
    return {event: judges[event](entry) for event, entry in last.items()}


@pytest.mark.asyncio(loop_scope="session")
async def test_the_last_isolation_check_in_the_log_counts(installation: Installation) -> None:
    organisation, other = [
        await installation.organisation((Role.MESSAGE_SERVICE, Role.GOVERNANCE)) for _ in range(2)
    ]
    assert await seen(installation, organisation) == {}
    for facts, good in ((PASSED, True), (LEAKED, False), (PASSED, True)):
        told = await installation.gate.record_for_organisation(
            CHECKER, organisation, CheckEvent.ISOLATION_CHECKED, facts
        )
        assert told
        found = (await seen(installation, organisation))["isolation:checked"]
        assert found is not None
        assert found.good is good
        assert datetime.now(UTC) - found.at < timedelta(hours=1)
    assert await seen(installation, other) == {}, "another organisation's evidence must not count"


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "other",
    [
        {"attempts": "0", "denied": "0"},
        {"attempts": "-1", "denied": "-1"},
        {"attempts": "", "denied": ""},
        {"denied": "89"},
        {"leaks": "1"},
        {"passed": "false"},
    ],
    ids=str,
)
async def test_an_isolation_check_that_attempted_nothing_or_contradicts_itself_is_no_good_evidence(
    installation: Installation, other: dict[str, str]
) -> None:
    organisation = await installation.organisation((Role.MESSAGE_SERVICE,))
    await installation.gate.record_for_organisation(
        CHECKER, organisation, CheckEvent.ISOLATION_CHECKED, PASSED | other
    )
    found = (await seen(installation, organisation))["isolation:checked"]
    assert found is not None
    assert not found.good


@pytest.mark.asyncio(loop_scope="session")
async def test_a_reconciliation_that_differs_or_fails_is_no_good_evidence(installation: Installation) -> None:
    organisation = await installation.organisation((Role.MESSAGE_SERVICE,))
    for facts, good in (
        ({"compared": "7", "differences": "0"}, True),
        ({"compared": "7", "differences": "1"}, False),
        ({"fault": "gone"}, False),
    ):
        async with installation.open(organisation, Role.MESSAGE_SERVICE, Purpose.TRACE) as vault:
            vault.record(RunEvent.LOG_RECONCILED, **facts)
        found = (await seen(installation, organisation))["log:reconciliation:made"]
        assert found is not None
        assert found.good is good


@pytest.mark.asyncio(loop_scope="session")
async def test_evidence_is_found_behind_many_entries(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compliance, "_PAGE", 3)
    organisation = await installation.organisation((Role.MESSAGE_SERVICE,))
    await installation.gate.record_for_organisation(
        CHECKER, organisation, CheckEvent.ISOLATION_CHECKED, PASSED
    )
    async with installation.open(organisation, Role.MESSAGE_SERVICE, Purpose.TRACE) as vault:
        for number in range(10):
            vault.record(MTEvent.MT_MESSAGE_SCHEDULED, message=f"{number}")
    assert "isolation:checked" in await seen(installation, organisation)
    later = await compliance._last_entries(
        cast(Administration, installation), organisation, datetime.now(UTC) + timedelta(days=100)
    )
    assert later == {}, "the log must not be read further back than evidence counts"


def witness(seconds: int | None = 0, fault: str = "", clock: int = 0) -> WitnessState:
    cosigned = None if seconds is None else int(NOW.timestamp()) - seconds
    asked = datetime.fromtimestamp(cosigned or 0, UTC) + timedelta(seconds=clock)
    return WitnessState("witness.example", 7, cosigned, asked, fault)


def log(*witnesses: WitnessState, refusal: OpenRefusal | None = None, closed: bool = False) -> Standing:
    place = LogPlace(whole.HABO, Role.MESSAGE_SERVICE)
    if closed:
        return Standing(place, None, closed="locked")
    state = TreeState("origin", Frontier(), NOW, 1, 7, 7, b"", NOW, "key", True, refusal)
    return Standing(place, state, witnesses)


def test_the_checkpoint_that_was_witnessed_longest_ago_counts() -> None:
    found = compliance.of_witnesses([log(witness(60), witness(30)), log(witness(900))])
    assert found is not None
    assert (found.good, NOW - found.at) == (True, timedelta(seconds=900))


@pytest.mark.parametrize(
    "standings",
    [
        [],
        [log()],
        [log(witness(None))],
        [log(witness(1), witness(None))],
        [log(witness(1)), log()],
        [log(witness(1)), log(closed=True)],
    ],
)
def test_a_log_without_a_cosignature_of_each_witness_is_no_evidence(standings: list[Standing]) -> None:
    assert compliance.of_witnesses(standings) is None


def test_a_witness_that_refused_is_seen() -> None:
    refusal = OpenRefusal("witness.example", "behind", 7, 9, NOW)
    found = compliance.of_witnesses([log(witness(1), refusal=refusal)])
    assert found is not None
    assert not found.good


@pytest.mark.parametrize(("clock", "good"), [(0, True), (30, True), (31, False), (-31, False)])
def test_the_clock_is_judged_by_the_witnesses(clock: int, good: bool) -> None:
    found = compliance.of_time([log(witness(10, clock=clock))])
    assert found is not None
    assert found.good is good


def test_a_witness_that_did_not_answer_says_nothing_of_the_clock() -> None:
    assert compliance.of_time([log(witness(10, fault="was silent"), witness(None))]) is None


OTHER = HeldKey(KeyName.SIGNING, 1, whole.ISSUER.certify("other", pki.key(3).public_key()))
KEYS = HeldKeys((whole.SIGNING, whole.ENCRYPTION))
assert OTHER.certificate is not None
VALID = OTHER.certificate.not_valid_before_utc + timedelta(days=1)


def test_keys_are_whole_and_none_is_shared() -> None:
    found = compliance.of_keys(KEYS, compliance.holders([KEYS, HeldKeys((OTHER,))]), VALID)
    assert found is not None
    assert (found.good, found.at) == (True, VALID)


@pytest.mark.parametrize(
    ("own", "others"),
    [
        (HeldKeys((whole.SIGNING,)), []),
        (HeldKeys((whole.ENCRYPTION,)), []),
        (HeldKeys(), []),
        (KEYS, [HeldKeys((OTHER, whole.SIGNING))]),
    ],
)
def test_a_key_that_is_missing_or_that_another_has_too_is_seen(own: HeldKeys, others: list[HeldKeys]) -> None:
    found = compliance.of_keys(own, compliance.holders([own, *others]), VALID)
    assert found is not None
    assert not found.good


def test_expired_keys_are_missing_and_those_of_a_locked_vault_are_not_known() -> None:
    found = compliance.of_keys(KEYS, compliance.holders([KEYS]), VALID + timedelta(days=36500))
    assert found is not None
    assert not found.good
    assert compliance.of_keys(HeldKeys(problem="it is locked"), {}, VALID) is None


def test_what_is_published_is_compared() -> None:
    found = compliance.of_publication(whole.READY)
    assert found is not None
    assert found.good
    stranger = PublishedCertificates((whole.OTHER,), (whole.OTHER,))
    changed = whole.registered(SDK_MESSAGE_EXTENDED, certificates=stranger)
    facts = dataclasses.replace(
        whole.READY, registrations={**whole.READY.registrations, SDK_MESSAGE_EXTENDED: changed}
    )
    found = compliance.of_publication(facts)
    assert found is not None
    assert not found.good
    assert compliance.of_publication(dataclasses.replace(whole.READY, registrations={})) is None


@pytest.mark.parametrize(
    ("states", "good"),
    [
        ([State.OK], True),
        ([State.OK, State.WARN, State.SKIPPED], True),
        ([State.OK, State.FAIL], False),
        ([State.SKIPPED], None),
        ([], None),
    ],
)
def test_findings_of_the_doctor_are_evidence_unless_nothing_was_examined(
    states: list[State], good: bool | None
) -> None:
    found = compliance.of_findings([Finding("tls.a.reach", each, "") for each in states], NOW)
    assert (None if found is None else found.good) is good


def test_a_scanner_is_as_old_as_its_signatures() -> None:
    day = NOW - timedelta(days=9)
    for finds in (True, False):
        found = compliance.of_scanner(ClamdVersion("ClamAV 1.4.3", day), finds=finds)
        assert found is not None
        assert (found.at, found.good) == (day, finds)
    assert compliance.of_scanner(ClamdVersion("ClamAV 1.4.3", None), finds=True) is None


async def test_what_all_organisations_have_in_common_is_looked_at_once_for_all_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the reports of 300 organisations would read keys and try listeners 90 000 times."""
    read: list[str] = []
    vaults = {f"0203:kommun{number}.se": f"vault-{number}" for number in range(20)}

    def held(keys: object, vault: str) -> HeldKeys:
        read.append(vault)
        return HeldKeys()

    async def nothing(*given: object) -> None:
        return None

    async def none_of_these(*given: object) -> dict[str, None]:
        return {}

    for name in ("_of_scanner", "_of_listeners", "_of_publication"):
        monkeypatch.setattr(f"samdrift.operations.compliance.{name}", nothing)
    for name in ("_of_logs", "of_logs_and_records", "drills"):
        monkeypatch.setattr(f"samdrift.operations.compliance.{name}", none_of_these)
    monkeypatch.setattr("samdrift.operations.compliance.held_keys", held)
    monkeypatch.setattr("samdrift.operations.compliance.check_certificates", lambda *given: [])
    registered = [
        SimpleNamespace(organisation=ParticipantIdentifier(whose), vault=vault, role=Role.MESSAGE_SERVICE)
        for whose, vault in vaults.items()
    ]
    gate = SimpleNamespace(registry=SimpleNamespace(all=lambda: registered))
    installation: Any = SimpleNamespace(gate=gate, keys=None, config=None)
    scope = Scope(offline=True)
    async with compliance.surveying(installation, scope) as known:
        for one in registered:
            found = await compliance.collect(installation, one.organisation, scope, known)
            assert not found["keys.inventory"].good, "an organisation without keys must not pass"
    assert sorted(read) == sorted(vaults.values())
