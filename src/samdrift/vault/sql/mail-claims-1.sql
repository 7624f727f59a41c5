-- Claims of a message client, by process (claims-1.sql): messages that are being sent, and notices.
ALTER TABLE messages ADD COLUMN claimed_by text;  -- NULL: of no known process
ALTER TABLE messages ADD COLUMN cut int;          -- claims in a row that ended with their process; NULL for none
ALTER TABLE notices ADD COLUMN claimed_by text;
ALTER TABLE notices ADD COLUMN cut int;

-- As in mail-following-2.sql, and record the claimant.
CREATE OR REPLACE FUNCTION claim_mail(now timestamptz, claimed_until timestamptz, most int) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT m.id FROM messages m WHERE m.due_at <= $1 AND m.stage IN ('outbox', 'handed-over')
        ORDER BY m.stage <> 'outbox', m.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE messages m SET due_at = $2, attempts = m.attempts + 1, claimed_by = _claimant()
    FROM due WHERE m.id = due.id RETURNING m.id
$$;

-- As in mail-1.sql, and release the claim.
CREATE OR REPLACE FUNCTION move_mail(
    message text, new_stage text, new_status text, new_remote bytea, now timestamptz, due timestamptz,
    new_attempts int, new_sealed bytea, new_delivery bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE messages m SET
        since = CASE WHEN m.stage = new_stage AND m.status IS NOT DISTINCT FROM new_status THEN m.since ELSE now END,
        stage = new_stage, status = new_status, remote = coalesce(new_remote, m.remote), due_at = due,
        attempts = new_attempts, sealed = new_sealed, delivery = coalesce(new_delivery, m.delivery),
        claimed_by = NULL, cut = NULL
    WHERE m.id = message AND m.direction = 'out' AND m.stage IN ('outbox', 'handed-over');
    RETURN FOUND;
END $$;

-- As in mail-following-1.sql, and release the claims.
CREATE OR REPLACE FUNCTION put_off_mail(messages text[], due timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE messages m SET due_at = $2, claimed_by = NULL, cut = NULL
    WHERE m.id = ANY ($1) AND m.direction = 'out' AND m.stage = 'handed-over' AND m.due_at IS NOT NULL
$$;

-- As in notices-1.sql, and record the claimant.
CREATE OR REPLACE FUNCTION claim_notices(now timestamptz, claimed_until timestamptz, most int) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT n.id FROM notices n WHERE n.due_at <= $1 ORDER BY n.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE notices n SET due_at = $2, attempts = n.attempts + 1, claimed_by = _claimant()
    FROM due WHERE n.id = due.id RETURNING n.id
$$;

-- As in notices-1.sql, and release the claim.
CREATE OR REPLACE FUNCTION move_notice(id text, due timestamptz, outcome text, now timestamptz, sealed bytea)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE notices n SET due_at = $2, outcome = $3, ended_at = CASE WHEN $3 IS NULL THEN NULL ELSE $4 END, sealed = $5,
                         claimed_by = NULL, cut = NULL
    WHERE n.id = $1 AND n.outcome IS NULL
$$;

-- Release claims of processes that have ended, as release_transfers does in an access point; return how many.
-- Attempts at a message still count, since it may have reached the message service.
CREATE FUNCTION release_mail(ended text[], at timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    number bigint;
BEGIN
    WITH mail AS (
        UPDATE messages m SET
            due_at = CASE WHEN coalesce(m.cut, 0) < most THEN least(m.due_at, at) ELSE m.due_at END,
            claimed_by = NULL, cut = coalesce(m.cut, 0) + 1
        WHERE m.due_at IS NOT NULL AND m.claimed_by = ANY (ended) RETURNING m.cut <= most AS pardoned
    ), told AS (
        UPDATE notices n SET
            due_at = CASE WHEN coalesce(n.cut, 0) < most THEN least(n.due_at, at) ELSE n.due_at END,
            claimed_by = NULL, cut = coalesce(n.cut, 0) + 1
        WHERE n.due_at IS NOT NULL AND n.claimed_by = ANY (ended) RETURNING n.cut <= most AS pardoned
    )
    SELECT count(*) INTO number FROM (SELECT * FROM mail UNION ALL SELECT * FROM told) AS released WHERE pardoned;
    IF number > 0 THEN
        PERFORM _wake();
    END IF;
    RETURN number;
END $$;
