-- Deletion at the message service of what was disposed of here: what two agreed to remove is to be gone there too, where an
-- organisation has messages deleted there at all.

CREATE TABLE disposed_deletions (
    id       text        PRIMARY KEY,   -- that the message had
    home     text        NOT NULL,      -- the mailbox from whose address, or at which, it lies there
    stored   timestamptz NOT NULL,      -- since when it was here as it was in the end
    due_at   timestamptz NOT NULL,
    attempts int         NOT NULL,
    outcome  text        CHECK (outcome IN ('deleted', 'refused')),
    ended_at timestamptz
);
CREATE INDEX disposed_deletions_due ON disposed_deletions (due_at) WHERE outcome IS NULL;

-- Note that a message is to be deleted there, in the transaction in which it goes here; one that is gone there already is not.
CREATE FUNCTION _keep_disposed_deletion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO disposed_deletions
    SELECT m.id, c.home, greatest(m.at, m.since), NEW.gone_at, 0, NULL, NULL
    FROM messages m JOIN conversations c ON c.id = m.conversation
    WHERE m.id = NEW.id AND m.remote IS NOT NULL
      AND NOT EXISTS (SELECT FROM service_deletions d WHERE d.id = m.id AND d.outcome = 'deleted')
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_disposed_deletion AFTER INSERT ON disposed
FOR EACH ROW EXECUTE FUNCTION _keep_disposed_deletion();

-- Claim messages that were disposed of, as claim_deletions does: of some mailboxes, and stored before a moment whose state a
-- verified backup has, be it that they are in it or that the record of their disposal is.
CREATE FUNCTION claim_disposed_deletions(
    homes text[], backed_up_before timestamptz, now timestamptz, claimed_until timestamptz, most int
) RETURNS TABLE (message text, attempt int, sealed bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT d.id FROM disposed_deletions d
        WHERE d.home = ANY (homes) AND d.stored < backed_up_before AND d.outcome IS NULL AND d.due_at <= now
        ORDER BY d.due_at, d.id LIMIT most FOR UPDATE SKIP LOCKED
    )
    UPDATE disposed_deletions d SET due_at = claimed_until, attempts = d.attempts + 1
    FROM due JOIN disposed x ON x.id = due.id WHERE d.id = due.id
    RETURNING d.id, d.attempts, x.sealed;
END $$;

-- Note what came of it, as end_deletion, of a message that was disposed of.
CREATE FUNCTION end_disposed_deletion(message text, outcome text, now timestamptz, due timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE disposed_deletions d
    SET outcome = $2, ended_at = CASE WHEN $2 IS NULL THEN NULL ELSE $3 END, due_at = coalesce($4, d.due_at)
    WHERE d.id = $1 AND d.outcome IS NULL;
    RETURN FOUND;
END $$;
