-- Claims of a message service, by process (claims-1.sql).
ALTER TABLE work ADD COLUMN claimed_by text;  -- NULL: of no known process
ALTER TABLE work ADD COLUMN cut int;          -- claims in a row that ended with their process; NULL for none

-- As in messageservice-1.sql, and record the claimant.
CREATE OR REPLACE FUNCTION _plan_work(kind text, id text, due timestamptz, claims int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO work (kind, id, due_at, attempts, claimed_by)
    VALUES ($1, $2, $3, $4, CASE WHEN $4 > 0 THEN _claimant() END)
    ON CONFLICT ON CONSTRAINT work_pkey DO UPDATE
    SET due_at = excluded.due_at, claimed_by = excluded.claimed_by, cut = NULL;
END $$;

CREATE OR REPLACE FUNCTION postpone_work(kind text, id text, due timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE work SET due_at = $3, claimed_by = NULL, cut = NULL WHERE work.id = $2 AND work.kind = $1
$$;

CREATE OR REPLACE FUNCTION claim_work(now timestamptz, claimed_until timestamptz, most int)
RETURNS TABLE (kind text, id text, attempts int)
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT w.kind, w.id FROM work w WHERE w.due_at <= $1 ORDER BY w.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE work w SET due_at = $2, attempts = w.attempts + 1, claimed_by = _claimant()
    FROM due WHERE w.id = due.id AND w.kind = due.kind
    RETURNING w.kind, w.id, w.attempts
$$;

-- Release claims of processes that have ended, as release_transfers does in an access point; return how many.
CREATE FUNCTION release_work(ended text[], at timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    number bigint;
BEGIN
    WITH held AS (
        SELECT w.kind, w.id, most IS NULL OR coalesce(w.cut, 0) < most AS pardoned FROM work w
        WHERE w.claimed_by /*[message-service-claims-lives-left*/= ANY (ended)/*]*/ ORDER BY w.id, w.kind FOR UPDATE
    ), let_go AS (
        UPDATE work w SET
            due_at = CASE WHEN held.pardoned THEN least(w.due_at, at) ELSE w.due_at END, claimed_by = NULL,
            cut = CASE WHEN most IS NULL THEN w.cut ELSE coalesce(w.cut, 0) + 1 END
        FROM held WHERE w.id = held.id AND w.kind = held.kind RETURNING held.pardoned
    )
    SELECT count(*) INTO number FROM let_go WHERE pardoned;
    IF number > 0 THEN
        PERFORM _wake();
    END IF;
    RETURN number;
END $$;
