-- Deletion at the message service of what was disposed of here: what two people agreed to remove is removed
-- there too, if an organisation has messages deleted there at all.

CREATE TABLE disposed_deletions (
    id       text        PRIMARY KEY,   -- that the message had
    home     text        NOT NULL,      -- the mailbox that it was sent from or received at
    stored   timestamptz NOT NULL,      -- since when it was stored here in its final state
    due_at   timestamptz NOT NULL,
    attempts int         NOT NULL,
    outcome  text        CHECK (outcome IN ('deleted', 'refused')),
    ended_at timestamptz
);
CREATE INDEX disposed_deletions_due ON disposed_deletions (due_at) WHERE outcome IS NULL;

-- Record that a message is to be deleted there, in the transaction that removes it here, unless it is deleted
-- there already.
CREATE FUNCTION _keep_disposed_deletion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO disposed_deletions
    SELECT m.id, c.home, greatest(m.at, m.since), NEW.gone_at, 0, NULL, NULL
    FROM messages m JOIN conversations c ON c.id = m.conversation
    WHERE m.id = NEW.id AND m.remote IS NOT NULL
      /*[was-disposed-deleted-service-twice*/AND NOT EXISTS (SELECT FROM service_deletions d WHERE d.id = m.id AND d.outcome = 'deleted')/*]*/
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_disposed_deletion AFTER INSERT ON disposed
FOR EACH ROW EXECUTE FUNCTION _keep_disposed_deletion();

-- Claim messages that were disposed of, as claim_deletions does: of some mailboxes, and stored before the
-- time of a verified backup, which contains either them or the record of their disposal.
CREATE FUNCTION claim_disposed_deletions(
    homes text[], backed_up_before timestamptz, now timestamptz, claimed_until timestamptz, most int
) RETURNS TABLE (message text, attempt int, sealed bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT d.id FROM disposed_deletions d
        WHERE /*[was-disposed-deleted-client-reads*/d.home = ANY (homes) AND/*]*/ /*[was-disposed-deleted-backup-knows*/d.stored < backed_up_before AND/*]*/ d.outcome IS NULL AND d.due_at <= now
        ORDER BY d.due_at, d.id LIMIT most FOR UPDATE SKIP LOCKED
    )
    UPDATE disposed_deletions d SET due_at = claimed_until, attempts = d.attempts + 1
    FROM due JOIN disposed x ON x.id = due.id WHERE d.id = due.id
    RETURNING d.id, d.attempts, x.sealed;
END $$;

-- Record the outcome for a message that was disposed of, as end_deletion does.
CREATE FUNCTION end_disposed_deletion(message text, outcome text, now timestamptz, due timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE disposed_deletions d
    SET outcome = $2, ended_at = CASE WHEN $2 IS NULL THEN NULL ELSE $3 END, due_at = coalesce($4, d.due_at)
    WHERE d.id = $1 AND d.outcome IS NULL;
    RETURN FOUND;
END $$;
