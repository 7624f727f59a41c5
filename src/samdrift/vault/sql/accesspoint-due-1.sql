-- As in accesspoint-claims-1.sql, but an unclaimed transfer is also due now by the database's clock:
-- otherwise one that a process stores while its clock is ahead would wait for that long once the clock is
-- right.
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
            document_scheme, process, process_scheme, at, coalesce(claimed_until, /*[transfer-nobody-has-was-ahead*/least(at, clock_timestamp())/*]*/),
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
