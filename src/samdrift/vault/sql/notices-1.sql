-- Notices by mail that there is something to read, and about mailboxes with unread messages
-- (vault/noticing.py).
--
-- In the clear: random ids, ids of people and mailboxes, times, outcomes. Addresses, hours and texts are
-- sealed.

-- A person's choices for notices: their address, and how for each mailbox. The id is the person's.
CREATE TABLE notice_choices (
    id     text  PRIMARY KEY,
    sealed bytea NOT NULL
);

-- When a mailbox is staffed, and what happens when messages stay unread. The id is the mailbox's.
CREATE TABLE manning (
    id     text  PRIMARY KEY,
    sealed bytea NOT NULL
);

-- When a mailbox must be checked for unread messages.
CREATE TABLE watches (
    mailbox   text        PRIMARY KEY REFERENCES mailboxes,
    due_at    timestamptz,                     -- NULL: when the next message arrives
    looked_at timestamptz NOT NULL,            -- later messages have had no notice yet
    escalated boolean     NOT NULL             -- unread messages have been escalated
);
CREATE INDEX watches_due ON watches (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE notices (
    id       text        PRIMARY KEY,
    kind     text        NOT NULL,
    person   text,                             -- NULL: to an address that the mailbox's manager has named
    began_at timestamptz NOT NULL,             -- since when there is something new
    due_at   timestamptz,                      -- NULL: it has ended
    attempts int         NOT NULL,
    outcome  text,                             -- NULL: it waits
    ended_at timestamptz,
    sealed   bytea       NOT NULL              -- address, and why it was not sent
);
CREATE UNIQUE INDEX notices_waiting ON notices (person) WHERE outcome IS NULL AND person IS NOT NULL;
CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notices_ended ON notices (ended_at) WHERE ended_at IS NOT NULL;

-- Recipients of automatic acknowledgements, and when: the same address does not get another one soon.
CREATE TABLE acknowledgements (
    mark bytea       PRIMARY KEY,              -- of the mailbox and the address
    at   timestamptz NOT NULL
);
CREATE INDEX acknowledgements_at ON acknowledgements (at);

-- Return whether an acknowledgement may be sent to an address, which then counts as sent. Older ones are
-- deleted.
CREATE FUNCTION begin_acknowledging(mark bytea, now timestamptz, before timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM acknowledgements a WHERE a.at <= $3;
    INSERT INTO acknowledgements VALUES ($1, $2) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

CREATE FUNCTION _watch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO watches AS w
    SELECT c.mailbox, NEW.since, NEW.since - interval '1 microsecond', false FROM conversations c
    WHERE c.id = NEW.conversation
    ON CONFLICT ON CONSTRAINT watches_pkey DO UPDATE SET due_at = least(w.due_at, excluded.due_at);
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER INSERT ON messages FOR EACH ROW WHEN (NEW.direction = 'in') EXECUTE FUNCTION _watch();

CREATE FUNCTION keep_notice_choice(id text, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO notice_choices VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT notice_choices_pkey DO UPDATE SET sealed = excluded.sealed
$$;

-- For messages that are already unread, the hours count from now on.
CREATE FUNCTION keep_manning(id text, sealed bytea, now timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO manning VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT manning_pkey DO UPDATE SET sealed = excluded.sealed;
    UPDATE watches w SET due_at = least(w.due_at, $3) WHERE w.mailbox = $1;
END $$;

-- Record that a mailbox was checked; a message that arrived meanwhile causes another check.
CREATE FUNCTION keep_watch(mailbox text, known timestamptz, due timestamptz, looked timestamptz, escalated boolean)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE watches w SET due_at = CASE WHEN w.due_at = $2 THEN $3 ELSE w.due_at END, looked_at = $4, escalated = $5
    WHERE w.mailbox = $1
$$;

-- A person gets one notice about everything new: one that waits already is sent at the earlier time. Notices
-- that ended long ago are deleted.
CREATE FUNCTION add_notice(id text, kind text, person text, began timestamptz, due timestamptz, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM notices n WHERE n.ended_at < $4 - interval '30 days';
    INSERT INTO notices AS n VALUES ($1, $2, $3, $4, $5, 0, NULL, NULL, $6)
    ON CONFLICT (person) WHERE outcome IS NULL AND person IS NOT NULL
    DO UPDATE SET due_at = least(n.due_at, excluded.due_at)
$$;

CREATE FUNCTION claim_notices(now timestamptz, claimed_until timestamptz, most int) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT n.id FROM notices n WHERE n.due_at <= $1 ORDER BY n.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE notices n SET due_at = $2, attempts = n.attempts + 1 FROM due WHERE n.id = due.id RETURNING n.id
$$;

-- Record the outcome of a notice, or when to try again.
CREATE FUNCTION move_notice(id text, due timestamptz, outcome text, now timestamptz, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE notices n SET due_at = $2, outcome = $3, ended_at = CASE WHEN $3 IS NULL THEN NULL ELSE $4 END, sealed = $5
    WHERE n.id = $1 AND n.outcome IS NULL
$$;

-- The vault's moment (mail-moment-1.sql) is the earliest of messages, mailboxes and notices.
CREATE OR REPLACE FUNCTION _next_due() RETURNS timestamptz
LANGUAGE sql AS $$
    SELECT least(
        (SELECT min(due_at) FROM messages WHERE due_at IS NOT NULL),
        (SELECT min(due_at) FROM watches WHERE due_at IS NOT NULL),
        (SELECT min(due_at) FROM notices WHERE due_at IS NOT NULL)
    )
$$;
CREATE CONSTRAINT TRIGGER keep_moment AFTER INSERT OR DELETE OR UPDATE OF due_at ON watches
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION _keep_moment();
CREATE CONSTRAINT TRIGGER keep_moment AFTER INSERT OR DELETE OR UPDATE OF due_at ON notices
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION _keep_moment();

-- Import of an organisation's data (mail-arrival-1.sql): choices and hours are imported, pending notices are
-- not.
CREATE FUNCTION arrive_notice_choices(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO notice_choices SELECT * FROM jsonb_populate_recordset(NULL::notice_choices, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_manning(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO manning SELECT * FROM jsonb_populate_recordset(NULL::manning, rows::jsonb) ON CONFLICT DO NOTHING;
END $$;
