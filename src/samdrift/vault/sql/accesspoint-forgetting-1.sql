-- Deletion in an access point (vault/forgetting.py): facts for detecting duplicates after 180 days, and
-- proofs of exchanges together with the log that names them. In small steps, so that no transaction locks
-- many rows.

CREATE INDEX transfers_failed ON transfers (ended_at) WHERE state = 'failed';
CREATE INDEX transfers_delivered ON transfers (ended_at) WHERE state = 'delivered';
CREATE INDEX incoming_acknowledged ON incoming (acknowledged_at) WHERE acknowledged_at IS NOT NULL;

-- A certificate is deleted when no log entry that still has its facts can name it. When existing ones were
-- last used is unknown: they count as used now.
ALTER TABLE peer_certificates ADD COLUMN last_at timestamptz NOT NULL DEFAULT clock_timestamp();

CREATE OR REPLACE FUNCTION keep_certificate(certificate bytea, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO peer_certificates AS p VALUES (encode(sha256($1), 'hex'), $1, $2, $2)
    ON CONFLICT ON CONSTRAINT peer_certificates_pkey DO UPDATE SET last_at = excluded.last_at
    WHERE p.last_at < excluded.last_at - interval '12 hours'
$$;

-- Delete up to `most` facts from before a time, which is at least 180 days ago: failed transfers, and events
-- for interface C about transfers that have ended. Returns the larger number of deleted rows, which is less
-- than `most` when nothing is left.
CREATE FUNCTION forget_duplicates(before timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
    others bigint;
BEGIN
    IF before > clock_timestamp() - interval '180 days' THEN
        RAISE EXCEPTION 'these are kept' USING ERRCODE = 'SD409';
    END IF;
    WITH over AS (
        SELECT t.id FROM transfers t WHERE t.state = 'failed' AND t.ended_at < before
        ORDER BY t.ended_at LIMIT most FOR UPDATE SKIP LOCKED
    ), tried AS (
        DELETE FROM attempts a USING over WHERE a.transfer = over.id
    )
    DELETE FROM transfers t USING over WHERE t.id = over.id;
    GET DIAGNOSTICS number = ROW_COUNT;
    DELETE FROM events e USING (SELECT o.sequence FROM events o ORDER BY o.sequence LIMIT most) oldest
    WHERE e.sequence = oldest.sequence AND e.at < before
      AND NOT EXISTS (SELECT FROM transfers t WHERE t.id = e.transfer AND t.due_at IS NOT NULL);
    GET DIAGNOSTICS others = ROW_COUNT;
    RETURN greatest(number, others);
END $$;

-- Delete up to `most` proofs of exchanges from before a time, which is at least a year ago: by then, their
-- log entries have lost their facts. Returns the same as forget_duplicates.
CREATE FUNCTION dispose_proofs(before timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    sent    bigint;
    arrived bigint;
BEGIN
    IF before > clock_timestamp() - interval '12 months' THEN
        RAISE EXCEPTION 'these are kept' USING ERRCODE = 'SD409';
    END IF;
    WITH over AS (
        SELECT t.id FROM transfers t WHERE t.state = 'delivered' AND t.ended_at < before
        ORDER BY t.ended_at LIMIT most FOR UPDATE SKIP LOCKED
    ), tried AS (
        DELETE FROM attempts a USING over WHERE a.transfer = over.id
    ), told AS (
        DELETE FROM events e USING over WHERE e.transfer = over.id
    )
    DELETE FROM transfers t USING over WHERE t.id = over.id;
    GET DIAGNOSTICS sent = ROW_COUNT;
    DELETE FROM incoming i USING (
        SELECT o.id FROM incoming o WHERE o.acknowledged_at < before
        ORDER BY o.acknowledged_at LIMIT most FOR UPDATE SKIP LOCKED
    ) over WHERE i.id = over.id;
    GET DIAGNOSTICS arrived = ROW_COUNT;
    DELETE FROM peer_certificates p WHERE p.last_at < before - interval '2 days';
    RETURN greatest(sent, arrived);
END $$;
