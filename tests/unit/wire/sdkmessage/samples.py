"""SDK messages for tests."""

from __future__ import annotations

from hypothesis import strategies as st

from samdrift.wire.identifiers import FUNCTIONAL_ADDRESS_ROOT, PARTICIPANT_SCHEME
from samdrift.wire.sdkmessage import (
    Attention,
    Document,
    Ii,
    Party,
    Person,
    Reference,
    SdkMessage,
    file_from_bytes,
)

MESSAGE_ID = "3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9"
PDF = file_from_bytes("beslut.pdf", "application/pdf", b"%PDF-1.4 example")


def party(participant: str, address: str) -> Party:
    unit = Attention(Ii(FUNCTIONAL_ADDRESS_ROOT, address), "Socialtjänsten")
    return Party(Ii(PARTICIPANT_SCHEME, participant), "Håbo kommun", unit)


SENDER = party("0203:habo.se", "sdk:utkorg:0203:habo.se")
RECIPIENT = party("0203:arbetsformedlingen.se", "sdk:inkorg:0203:arbetsformedlingen.se")

SMALL = SdkMessage(
    created="2024-02-29T12:00:00.000Z",
    message_id=MESSAGE_ID,
    conversation_id=MESSAGE_ID,
    ref_to_message_id=None,
    label="Kallelse",
    confidentiality=False,
    generating_system=None,
    recipient=RECIPIENT,
    sender=SENDER,
    documents=(Document("1", texts=("Hej",)),),
)

FULL = SdkMessage(
    created="2024-02-29T12:00:00.123Z",
    message_id=MESSAGE_ID,
    conversation_id="a8480ada-6a1f-44a3-a960-9acaf4efcdcd",
    ref_to_message_id="ff325210-0690-42fe-b86f-95ecab821223",
    label="Rubrik <&> 😀",
    confidentiality=True,
    generating_system=Ii("kodverk", "system"),
    recipient=RECIPIENT,
    sender=Party(
        SENDER.id,
        None,
        Attention(
            Ii(FUNCTIONAL_ADDRESS_ROOT, "sdk:utkorg:0203:habo.se"),
            "Utkorg",
            (Person(Ii("1.2.752.29.6.2.1", "SE2321000016-x"), "Karin Svensson"), Person(None, "Tolvan")),
            (Reference(Ii("dnr", "2024-17"), "Diarienummer"), Reference(Ii("dnr", "2024-18"))),
        ),
    ),
    documents=(
        Document("1", "Huvuddokument", "1", (PDF, PDF), ("# Rubrik\r\n\n*text*", "mer")),
        Document("2", None, "2", (PDF,)),
    ),
)

_TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\r\n\x00"), max_size=20
).map(lambda text: f"{text}.")
_OPTIONAL_TEXT = st.none() | _TEXT
_II = st.builds(Ii, _TEXT, _TEXT)
_FILES = st.builds(file_from_bytes, _TEXT, _TEXT, st.binary(max_size=50))
_ATTENTIONS = st.builds(
    Attention,
    st.builds(Ii, st.just(FUNCTIONAL_ADDRESS_ROOT), _TEXT),
    _OPTIONAL_TEXT,
    st.lists(st.builds(Person, _II, _OPTIONAL_TEXT), max_size=2).map(tuple),
    st.lists(st.builds(Reference, _II, _OPTIONAL_TEXT), max_size=2).map(tuple),
)
_PARTIES = st.builds(Party, st.just(SENDER.id), _OPTIONAL_TEXT, _ATTENTIONS)
_DOCUMENTS = st.builds(
    Document,
    _TEXT,
    _OPTIONAL_TEXT,
    st.sampled_from((None, "1", "2")),
    st.lists(_FILES, max_size=2).map(tuple),
    st.lists(_TEXT, min_size=1, max_size=2).map(tuple),
)

MESSAGES = st.builds(
    SdkMessage,
    created=st.just(SMALL.created),
    message_id=st.uuids().map(str),
    conversation_id=st.uuids().map(str),
    ref_to_message_id=st.none() | st.uuids().map(str),
    label=_TEXT,
    confidentiality=st.booleans(),
    generating_system=st.none() | _II,
    recipient=_PARTIES,
    sender=_PARTIES,
    documents=st.lists(_DOCUMENTS, min_size=1, max_size=2).map(tuple),
)
"""Messages with any text anywhere; some cannot be built because of a character or a missing index."""
