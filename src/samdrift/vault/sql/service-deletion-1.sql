-- Deletion at the message service of messages that are stored here (vault/maildeletion.py): verified backups
-- of this vault, addresses that no other client reads, and what was deleted.

CREATE TABLE verified_backups (
    id       text        PRIMARY KEY,  -- random
    taken_at timestamptz NOT NULL,     -- the time of the state in the backup
    noted_at timestamptz NOT NULL,
    sealed   bytea       NOT NULL      -- who recorded it, and how it was verified
);
CREATE FUNCTION note_backup(id text, taken_at timestamptz, noted_at timestamptz, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO verified_backups VALUES ($1, $2, $3, $4)
$$;

-- Mailboxes for which an administrator has confirmed that no other client reads their address at the message
-- service.
CREATE TABLE sole_readers (
    id     text        PRIMARY KEY REFERENCES mailboxes,
    person text        NOT NULL,
    at     timestamptz NOT NULL,
    sealed bytea       NOT NULL  -- text of the confirmation, and the message service
);
-- Store a confirmation, or without `sealed` withdraw it.
CREATE FUNCTION keep_sole_reader(mailbox text, person text, at timestamptz, sealed bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM sole_readers s WHERE s.id = $1;
    IF $4 IS NOT NULL THEN
        INSERT INTO sole_readers VALUES ($1, $2, $3, $4);
    END IF;
END $$;

-- Deletions at the message service: a row exists before the request, and has an outcome once that is known.
CREATE TABLE service_deletions (
    id       text        PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
    begun_at timestamptz NOT NULL,
    due_at   timestamptz NOT NULL,
    attempts int         NOT NULL,
    outcome  text        CHECK (outcome IN ('deleted', 'refused')),
    ended_at timestamptz
);

-- Claim messages to be deleted at the message service, each with its number of attempts: those to or from
-- some mailboxes that were stored and final before both times, were opened, and are not held.
CREATE FUNCTION claim_deletions(
    homes text[], stored_before timestamptz, backed_up_before timestamptz, now timestamptz, claimed_until timestamptz, most int
) RETURNS TABLE (message text, attempt int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT m.id FROM messages m JOIN conversations c ON c.id = m.conversation
        WHERE c.home = ANY (homes) /*[nothing-deleted-at-old-enough*/AND m.at < stored_before/*]*/ /*[nothing-deleted-at-verified-backup*/AND greatest(m.at, m.since) < backed_up_before/*]*/
          AND m.remote IS NOT NULL
          AND CASE m.direction
              WHEN 'in' THEN m.stage = 'arrived' /*[nothing-deleted-at-has-opened*/AND m.opened_at IS NOT NULL/*]*/
              ELSE m.stage = 'handed-over' AND m.status IN ('ACCEPTED', 'MESSAGE_EXCHANGE_ERROR')
              END
          /*[nothing-deleted-at-service-exempt*/AND NOT EXISTS (SELECT FROM holds h WHERE h.id = c.id)/*]*/
          AND NOT EXISTS (
              SELECT FROM service_deletions d WHERE d.id = m.id AND (d.outcome IS NOT NULL OR d.due_at > now)
          )
        ORDER BY m.at, m.id LIMIT most FOR UPDATE OF m SKIP LOCKED
    )
    INSERT INTO service_deletions AS d SELECT due.id, now, claimed_until, 1, NULL, NULL FROM due
    ON CONFLICT ON CONSTRAINT service_deletions_pkey DO UPDATE SET due_at = claimed_until, attempts = d.attempts + 1
    RETURNING d.id, d.attempts;
END $$;

-- Record the outcome of a deletion, or without one when to try again.
CREATE FUNCTION end_deletion(message text, outcome text, now timestamptz, due timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE service_deletions d
    SET outcome = $2, ended_at = CASE WHEN $2 IS NULL THEN NULL ELSE $3 END, due_at = coalesce($4, d.due_at)
    WHERE d.id = $1 AND d.outcome IS NULL;
    RETURN FOUND;
END $$;
