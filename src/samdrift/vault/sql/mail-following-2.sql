-- Messages that wait to be handed over are claimed before those whose status is queried repeatedly.
CREATE OR REPLACE FUNCTION claim_mail(now timestamptz, claimed_until timestamptz, most int) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT m.id FROM messages m WHERE m.due_at <= $1 AND m.stage IN ('outbox', 'handed-over')
        ORDER BY m.stage <> 'outbox', m.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE messages m SET due_at = $2, attempts = m.attempts + 1 FROM due WHERE m.id = due.id RETURNING m.id
$$;
