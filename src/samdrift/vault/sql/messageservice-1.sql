-- An organisation's vault in the message service (vault/messageservice.py).
--
-- Content (subject lines, addresses, texts of errors, receipts) is encrypted before it is stored here;
-- addresses can be searched by a keyed mark (vault/sealing.py).

CREATE TABLE messages (
    id                text        NOT NULL,
    direction         text        NOT NULL CHECK (direction IN ('out', 'in')),
    status            text        NOT NULL,
    conversation_id   text        NOT NULL,
    ref_to_message_id text,
    sender            text        NOT NULL,
    recipient         text        NOT NULL,
    sender_mark       bytea       NOT NULL,
    recipient_mark    bytea       NOT NULL,
    document          text        NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    confidentiality   boolean     NOT NULL,
    size              bigint      NOT NULL,
    body              text,               -- NULL: facts only
    details           bytea,              -- label and addresses, sealed; NULL: deleted, the id stays known
    PRIMARY KEY (id, direction)
);
CREATE INDEX messages_newest ON messages (created_at, id) WHERE details IS NOT NULL;
CREATE INDEX messages_by_sender ON messages (sender_mark, created_at, id) WHERE details IS NOT NULL;
CREATE INDEX messages_by_recipient ON messages (recipient_mark, created_at, id) WHERE details IS NOT NULL;

CREATE TABLE status_events (
    message   text        NOT NULL,
    direction text        NOT NULL,
    number    bigint      GENERATED ALWAYS AS IDENTITY,
    at        timestamptz NOT NULL,
    status    text        NOT NULL,
    details   bytea       NOT NULL,       -- title, detail and path, sealed
    PRIMARY KEY (message, direction, number)
);

CREATE TABLE receipts (
    id              text        PRIMARY KEY,
    message         text        NOT NULL,
    direction       text        NOT NULL CHECK (direction IN ('out', 'in')),
    status          text        NOT NULL,
    counterpart     text        NOT NULL,
    document        text        NOT NULL,
    conversation_id text        NOT NULL,
    state           text        NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    address         bytea,                -- HandlingServiceID, sealed
    content         bytea       NOT NULL  -- the receipt document, sealed
);
CREATE INDEX receipts_by_message ON receipts (message, direction, created_at);

-- Pending work; `due_at` is the time from which it may be claimed (see accesspoint-1.sql).
CREATE TABLE work (
    kind     text        NOT NULL,
    id       text        NOT NULL,
    due_at   timestamptz NOT NULL,
    attempts int         NOT NULL DEFAULT 0,
    PRIMARY KEY (id, kind)
);
CREATE INDEX work_due ON work (due_at);

-- Items of the access point that need no further processing.
CREATE TABLE processed (
    item text        PRIMARY KEY,
    at   timestamptz NOT NULL
);

CREATE TABLE cursors (
    name  text   PRIMARY KEY,
    value bigint NOT NULL
);

-- Store a message and its body, if any; return false, without changes, if its id is known in that direction.
CREATE FUNCTION store_message(
    id text, direction text, status text, conversation_id text, ref_to_message_id text, sender text,
    recipient text, sender_mark bytea, recipient_mark bytea, document text, created_at timestamptz,
    updated_at timestamptz, confidentiality boolean, size bigint, details bytea,
    body text, body_size bigint, body_digest bytea, body_sealed bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO messages VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $16, $15)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF body IS NOT NULL THEN
        INSERT INTO bodies VALUES ($16, $17, $18, $19);
    END IF;
    RETURN true;
END $$;

-- Mark an item of the access point as processed; return false if it already was.
CREATE FUNCTION take_item(item text, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO processed VALUES ($1, $2) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Run take_item, then store_message; the item is not marked if another message has that id.
CREATE FUNCTION receive_message(
    item text, at timestamptz,
    id text, direction text, status text, conversation_id text, ref_to_message_id text, sender text,
    recipient text, sender_mark bytea, recipient_mark bytea, document text, created_at timestamptz,
    updated_at timestamptz, confidentiality boolean, size bigint, details bytea,
    body text, body_size bigint, body_digest bytea, body_sealed bytea
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT take_item(item, at) THEN
        RETURN 'duplicate-delivery';
    END IF;
    IF store_message($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) THEN
        RETURN 'stored';
    END IF;
    DELETE FROM processed p WHERE p.item = $1;
    RETURN 'duplicate-id';
END $$;

-- Plan work, replacing any earlier plan for it; `claims` counts the caller's own claims, 0 if it may be
-- claimed.
CREATE FUNCTION plan_work(kind text, id text, due timestamptz, claims int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _plan_work(kind, id, due, claims);
    IF claims = 0 THEN
        PERFORM _wake();
    END IF;
END $$;

CREATE FUNCTION _plan_work(kind text, id text, due timestamptz, claims int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO work (kind, id, due_at, attempts) VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT work_pkey DO UPDATE SET due_at = excluded.due_at;
END $$;

CREATE FUNCTION postpone_work(kind text, id text, due timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE work SET due_at = $3 WHERE work.id = $2 AND work.kind = $1
$$;

CREATE FUNCTION finish_work(kind text, id text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM work WHERE work.id = $2 AND work.kind = $1
$$;

CREATE FUNCTION claim_work(now timestamptz, claimed_until timestamptz, most int)
RETURNS TABLE (kind text, id text, attempts int)
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT w.kind, w.id FROM work w WHERE w.due_at <= $1 ORDER BY w.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE work w SET due_at = $2, attempts = w.attempts + 1
    FROM due WHERE w.id = due.id AND w.kind = due.kind
    RETURNING w.kind, w.id, w.attempts
$$;

-- Set the deadline of a message or receipt, or remove it.
CREATE FUNCTION _set_deadline(record text, deadline timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF deadline IS NULL THEN
        PERFORM finish_work('deadline', record);
    ELSE
        PERFORM _plan_work('deadline', record, deadline, 0);
    END IF;
END $$;

-- Move a message to its next status, and finish the work that led there. A final status never changes.
CREATE FUNCTION set_status(
    message text, way text, new_status text, finals text[], now timestamptz, deadline timestamptz,
    event_times timestamptz[], event_statuses text[], event_details bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    moved boolean;
BEGIN
    UPDATE messages m SET status = new_status, updated_at = now
    WHERE m.id = message AND m.direction = way AND m.details IS NOT NULL AND NOT m.status = ANY (finals);
    moved := FOUND;
    IF way = 'out' THEN
        PERFORM finish_work('message', message);
    END IF;
    IF moved THEN
        INSERT INTO status_events (message, direction, at, status, details)
        SELECT message, way, e.at, e.status, e.details
        FROM unnest(event_times, event_statuses, event_details) WITH ORDINALITY AS e (at, status, details, place)
        ORDER BY e.place;
        IF way = 'out' THEN
            PERFORM _set_deadline(message, deadline);
        END IF;
    END IF;
    RETURN moved;
END $$;

CREATE FUNCTION store_receipt(
    id text, message text, direction text, status text, counterpart text, document text,
    conversation_id text, state text, created_at timestamptz, updated_at timestamptz, address bytea, content bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO receipts VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Move a receipt to its next state, and finish the work that led there.
CREATE FUNCTION set_receipt_state(receipt text, new_state text, now timestamptz, deadline timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE receipts SET state = new_state, updated_at = now WHERE id = receipt;
    IF NOT FOUND THEN
        RAISE 'no such receipt' USING ERRCODE = 'SD404';
    END IF;
    PERFORM finish_work('receipt', receipt);
    PERFORM _set_deadline(receipt, deadline);
END $$;

-- Delete a message with its body, events and receipts; its id stays known, so that it cannot be used again.
CREATE FUNCTION delete_message(message text, way text, OUT deleted boolean, OUT remote text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    stored text;
BEGIN
    SELECT m.body INTO stored FROM messages m
    WHERE m.id = message AND m.direction = way AND m.details IS NOT NULL FOR UPDATE;
    deleted := FOUND;
    IF deleted THEN
        remote := _drop_body(stored);
        UPDATE messages m SET body = NULL, details = NULL, sender_mark = '', recipient_mark = ''
        WHERE m.id = message AND m.direction = way;
        DELETE FROM status_events e WHERE e.message = message AND e.direction = way;
        DELETE FROM receipts r WHERE r.message = message AND r.direction <> way;
        DELETE FROM work w WHERE w.id = message AND (way = 'out' OR w.kind <> 'message');
    END IF;
END $$;

CREATE FUNCTION set_cursor(name text, value bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO cursors VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
$$;
