-- An organisation's vault in the access point (vault/accesspoint.py).
--
-- The rows themselves are the queue: `due_at` is the time from which a row may be claimed, so that a claim
-- only changes `due_at`, and a lease that expires needs no process to take it back. Only waiting rows are in
-- the index that claims use.

CREATE TABLE transfers (
    id              text        PRIMARY KEY,
    envelope_id     text        NOT NULL UNIQUE,
    as4_message_id  text        NOT NULL,
    conversation_id text        NOT NULL,
    sender          text        NOT NULL,
    recipient       text        NOT NULL,
    document        text        NOT NULL,
    document_scheme text        NOT NULL,
    process         text        NOT NULL,
    process_scheme  text        NOT NULL,
    created_at      timestamptz NOT NULL,
    state           text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'delivered', 'failed')),
    due_at          timestamptz,          -- NULL when final
    attempts        int         NOT NULL DEFAULT 0,
    body            text        NOT NULL,
    size            bigint      NOT NULL,
    digest          bytea       NOT NULL,
    ended_at        timestamptz,
    peer            text,
    receipt         bytea,                -- the peer's signed receipt: evidence
    CHECK ((state = 'queued') = (due_at IS NOT NULL))
);
CREATE INDEX transfers_due ON transfers (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE attempts (
    transfer  text        NOT NULL,
    number    int         NOT NULL,
    at        timestamptz NOT NULL,
    signed    bytea[],
    error     text,
    PRIMARY KEY (transfer, number)
);

-- One row for each transfer and attempt.
CREATE VIEW transfers_tried AS
SELECT t.id, t.envelope_id, t.conversation_id, t.sender, t.recipient, t.document, t.document_scheme,
       t.process, t.process_scheme, t.as4_message_id, t.created_at, t.state, t.size, t.digest,
       a.number, a.at, a.signed, a.error
FROM transfers t LEFT JOIN attempts a ON a.transfer = t.id;

-- Events of transfers, numbered in the order of commit, for interface C.
CREATE TABLE events (
    sequence bigint      PRIMARY KEY,
    transfer text        NOT NULL,
    at       timestamptz NOT NULL,
    state    text        NOT NULL,
    reason   text        NOT NULL,
    detail   text        NOT NULL
);

-- Incoming envelopes. A row outlives its body, so that a peer that sends again gets the same receipt.
CREATE TABLE incoming (
    id              text        PRIMARY KEY,
    peer            text        NOT NULL,
    as4_message_id  text        NOT NULL,
    envelope_id     text        NOT NULL,
    conversation_id text        NOT NULL,
    sender          text        NOT NULL,
    recipient       text        NOT NULL,
    document        text        NOT NULL,
    certificate     text        NOT NULL,
    received_at     timestamptz NOT NULL,
    receipt         bytea       NOT NULL,
    body            text        NOT NULL,
    size            bigint      NOT NULL,
    acknowledged_at timestamptz,
    UNIQUE (as4_message_id, peer)
);
CREATE INDEX incoming_waiting ON incoming (received_at, id) WHERE acknowledged_at IS NULL;

-- Store an envelope to be sent; return false, without changes, if its id is known.
CREATE FUNCTION submit(
    id text, envelope_id text, as4_message_id text, conversation_id text, sender text, recipient text,
    document text, document_scheme text, process text, process_scheme text, at timestamptz,
    claimed_until timestamptz, body text, size bigint, digest bytea, sealed bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO transfers (id, envelope_id, as4_message_id, conversation_id, sender, recipient, document,
                           document_scheme, process, process_scheme, created_at, due_at, attempts, body, size, digest)
    VALUES (id, envelope_id, as4_message_id, conversation_id, sender, recipient, document,
            document_scheme, process, process_scheme, at, coalesce(claimed_until, at),
            CASE WHEN claimed_until IS NULL THEN 0 ELSE 1 END, body, size, digest)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO bodies VALUES (body, size, digest, sealed);
    IF claimed_until IS NULL THEN
        PERFORM _wake();
    ELSE
        INSERT INTO attempts (transfer, number, at) VALUES (id, 1, at);
    END IF;
    RETURN true;
END $$;

-- Claim due transfers and begin an attempt at each.
CREATE FUNCTION claim_transfers(now timestamptz, claimed_until timestamptz, most int)
RETURNS SETOF transfers_tried
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    claimed text[];
BEGIN
    WITH due AS (
        SELECT id FROM transfers WHERE due_at <= now ORDER BY due_at LIMIT most FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE transfers t SET due_at = claimed_until, attempts = t.attempts + 1
        FROM due WHERE t.id = due.id RETURNING t.id, t.attempts
    ), begun AS (
        INSERT INTO attempts (transfer, number, at) SELECT id, attempts, now FROM taken
    )
    SELECT array_agg(id) INTO claimed FROM taken;
    RETURN QUERY SELECT * FROM transfers_tried WHERE id = ANY (claimed) ORDER BY created_at, id, number;
END $$;

-- End a transfer. Returns whether it was not final before, and the object of its body to be removed, if any.
CREATE FUNCTION end_transfer(
    transfer text, ended_state text, at timestamptz, receipt_given bytea, peer_met text, error_met text,
    OUT ended boolean, OUT remote text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    made   int;
    stored text;
BEGIN
    UPDATE transfers t
    SET state = ended_state, due_at = NULL, ended_at = at, receipt = receipt_given, peer = peer_met
    WHERE t.id = transfer AND t.state = 'queued'
    RETURNING t.attempts, t.body INTO made, stored;
    ended := FOUND;
    IF ended THEN
        remote := _drop_body(stored);
        IF error_met IS NOT NULL THEN
            UPDATE attempts a SET error = error_met WHERE a.transfer = transfer AND a.number = made;
        END IF;
    END IF;
END $$;

CREATE FUNCTION postpone(transfer text, due timestamptz, signed_then bytea[], error_met text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    made int;
BEGIN
    UPDATE transfers t SET due_at = due WHERE t.id = transfer AND t.state = 'queued'
    RETURNING t.attempts INTO made;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE attempts a SET signed = signed_then, error = error_met
    WHERE a.transfer = transfer AND a.number = made;
    RETURN true;
END $$;

-- Number an event and wake its listeners. Locks the log's head, as every commit does, so that a reader that
-- has seen an event never finds a lower number later.
CREATE FUNCTION tell(transfer text, at timestamptz, state text, reason text, detail text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE log_head SET news = news + 1 RETURNING news INTO number;
    INSERT INTO events VALUES (number, $1, $2, $3, $4, $5);
    PERFORM _wake();
END $$;

-- Store an incoming envelope; return false, without changes, if that peer's message is known.
CREATE FUNCTION accept(
    id text, peer text, as4_message_id text, envelope_id text, conversation_id text, sender text,
    recipient text, document text, certificate text, at timestamptz, receipt bytea, body text, size bigint,
    digest bytea, sealed bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO incoming VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO bodies VALUES (body, $13, digest, sealed);
    PERFORM _wake();
    RETURN true;
END $$;

-- Remove a waiting envelope from the inbox. Returns its envelope id, and the object of its body to be
-- removed, if any.
CREATE FUNCTION acknowledge(item text, at timestamptz, OUT envelope text, OUT remote text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    stored text;
BEGIN
    UPDATE incoming SET acknowledged_at = at WHERE id = item AND acknowledged_at IS NULL
    RETURNING envelope_id, body INTO envelope, stored;
    remote := _drop_body(stored);
END $$;
