-- Claims of an access point, by process (claims-1.sql). Attempts that restarts of our own processes spoiled
-- do not count.
ALTER TABLE transfers ADD COLUMN claimed_by text;  -- NULL: of no known process
ALTER TABLE transfers ADD COLUMN spared int;       -- attempts that do not count; NULL for none
ALTER TABLE transfers ADD COLUMN cut int;          -- attempts in a row that ended with their process; NULL for none

-- As in accesspoint-1.sql, and record the claimant.
CREATE OR REPLACE FUNCTION submit(
    id text, envelope_id text, as4_message_id text, conversation_id text, sender text, recipient text,
    document text, document_scheme text, process text, process_scheme text, at timestamptz,
    claimed_until timestamptz, body text, size bigint, digest bytea, sealed bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO transfers (id, envelope_id, as4_message_id, conversation_id, sender, recipient, document,
                           document_scheme, process, process_scheme, created_at, due_at, attempts, body, size, digest,
                           claimed_by)
    VALUES (id, envelope_id, as4_message_id, conversation_id, sender, recipient, document,
            document_scheme, process, process_scheme, at, coalesce(claimed_until, at),
            CASE WHEN claimed_until IS NULL THEN 0 ELSE 1 END, body, size, digest,
            CASE WHEN claimed_until IS NULL THEN NULL ELSE _claimant() END)
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

CREATE OR REPLACE FUNCTION claim_transfers(now timestamptz, claimed_until timestamptz, most int)
RETURNS SETOF transfers_tried
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    claimed text[];
BEGIN
    WITH due AS (
        SELECT id FROM transfers WHERE due_at <= now ORDER BY due_at LIMIT most FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE transfers t SET due_at = claimed_until, attempts = t.attempts + 1, claimed_by = _claimant()
        FROM due WHERE t.id = due.id RETURNING t.id, t.attempts
    ), begun AS (
        INSERT INTO attempts (transfer, number, at) SELECT id, attempts, now FROM taken
    )
    SELECT array_agg(id) INTO claimed FROM taken;
    RETURN QUERY SELECT * FROM transfers_tried WHERE id = ANY (claimed) ORDER BY created_at, id, number;
END $$;

CREATE OR REPLACE FUNCTION postpone(transfer text, due timestamptz, signed_then bytea[], error_met text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    made int;
BEGIN
    UPDATE transfers t SET due_at = due, claimed_by = NULL, cut = NULL WHERE t.id = transfer AND t.state = 'queued'
    RETURNING t.attempts INTO made;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE attempts a SET signed = signed_then, error = error_met
    WHERE a.transfer = transfer AND a.number = made;
    RETURN true;
END $$;

-- Postpone a transfer whose attempt failed because our own installation was unavailable: the attempt does not
-- count.
CREATE FUNCTION spare(transfer text, due timestamptz, signed_then bytea[], error_met text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    IF NOT postpone(transfer, due, signed_then, error_met) THEN
        RETURN false;
    END IF;
    UPDATE transfers t SET spared = coalesce(t.spared, 0) + 1 WHERE t.id = transfer;
    RETURN true;
END $$;

-- Release claims of processes that have ended; return how many. An attempt that was cut short in this way
-- does not count, and the transfer may be claimed immediately. If that happened `most` times in a row, the
-- transfer may be what ends the processes: it waits for its lease to expire, and the attempt counts. Without
-- `most`, a process releases its own claims before it ends.
CREATE FUNCTION release_transfers(ended text[], at timestamptz, most int, error_met text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    number bigint;
BEGIN
    WITH held AS (
        SELECT t.id, /*[transfer-ends-processes-for-lease*/most IS NULL OR coalesce(t.cut, 0) < most/*]*/ AS pardoned FROM transfers t
        WHERE t.due_at IS NOT NULL AND t.claimed_by /*[claims-process-lives-left*/= ANY (ended)/*]*/ ORDER BY t.id FOR UPDATE
    ), let_go AS (
        UPDATE transfers t SET
            due_at = CASE WHEN held.pardoned THEN least(t.due_at, at) ELSE t.due_at END, claimed_by = NULL,
            spared = coalesce(t.spared, 0) + held.pardoned::int,
            cut = CASE WHEN most IS NULL THEN t.cut ELSE coalesce(t.cut, 0) + 1 END
        FROM held WHERE t.id = held.id RETURNING t.id, t.attempts, held.pardoned
    ), noted AS (
        UPDATE attempts a SET error = error_met FROM let_go
        WHERE a.transfer = let_go.id AND a.number = let_go.attempts AND let_go.pardoned AND a.error IS NULL
    )
    SELECT count(*) INTO number FROM let_go WHERE pardoned;
    IF number > 0 THEN
        PERFORM _wake();
    END IF;
    RETURN number;
END $$;
