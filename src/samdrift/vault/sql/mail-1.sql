-- Messages of the organisation in its message client (vault/mail.py, vault/mailwriting.py).
--
-- In the clear: random ids, marks of values from others (ids in the federation, addresses), directions,
-- states, times, sizes, the confidentiality mark, ids of people, versions. All texts and names are sealed
-- before they are stored here.

CREATE TABLE mailboxes (
    id             text    PRIMARY KEY,
    mark           bytea   NOT NULL UNIQUE,   -- of the functional address
    needs_approval boolean NOT NULL,
    undo_seconds   int     NOT NULL CHECK (undo_seconds BETWEEN 0 AND 60),
    sealed         bytea   NOT NULL           -- name and address
);

-- Messages of one conversationId at one address. `home` is that address, `mailbox` where the conversation is
-- now.
CREATE TABLE conversations (
    id           text        PRIMARY KEY,
    home         text        NOT NULL REFERENCES mailboxes,
    mailbox      text        NOT NULL REFERENCES mailboxes,
    mark         bytea       NOT NULL,        -- of the conversationId
    version      int         NOT NULL,
    handler      text,
    done         boolean     NOT NULL,
    confidential boolean     NOT NULL,        -- of any message in it
    latest_at    timestamptz NOT NULL,
    sent_at      timestamptz,                 -- of the latest sent message
    messages     int         NOT NULL,
    files        int         NOT NULL,
    unread       int         NOT NULL,        -- received messages that are not opened yet
    unreadable   int         NOT NULL,
    sealed       bytea       NOT NULL,        -- the conversationId
    UNIQUE (home, mark)
);
CREATE INDEX conversations_latest ON conversations (mailbox, latest_at, id);
CREATE INDEX conversations_unread ON conversations (mailbox, latest_at, id) WHERE unread > 0;
CREATE INDEX conversations_sent ON conversations (mailbox, sent_at, id) WHERE sent_at IS NOT NULL;

CREATE TABLE messages (
    id           text        PRIMARY KEY,
    conversation text        NOT NULL REFERENCES conversations,
    direction    text        NOT NULL CHECK (direction IN ('out', 'in')),
    stage        text        NOT NULL,
    status       text,                        -- at the message service; NULL before it has any
    mark         bytea       NOT NULL,        -- of the messageId
    remote       bytea,                       -- of the id at the message service
    refers       bytea,                       -- of the message that it refers to
    draft        text,                        -- that it was written as, and that has its files
    author       text,                        -- the person who sent it
    at           timestamptz NOT NULL,        -- of arrival or sending
    dated_at     timestamptz,                 -- the sender's own time stamp
    since        timestamptz NOT NULL,        -- of stage and status
    confidential boolean     NOT NULL,
    due_at       timestamptz,                 -- when it may be claimed
    deadline     timestamptz,                 -- by which the message service must have it
    attempts     int         NOT NULL,
    opened_at    timestamptz,                 -- NULL: not opened yet
    files        int         NOT NULL,
    body         text        NOT NULL,        -- its documents, or the original if it cannot be shown
    sealed       bytea       NOT NULL,        -- subject, parties, ids
    delivery     bytea,                       -- steps at the message service, sealed
    UNIQUE (mark, direction)
);
CREATE UNIQUE INDEX messages_remote ON messages (remote, direction);
CREATE INDEX messages_in_order ON messages (conversation, at, id);
CREATE INDEX messages_newest ON messages (at, id);
CREATE INDEX messages_due ON messages (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_of_draft ON messages (draft) WHERE draft IS NOT NULL;

-- Files of messages and drafts. A file that is sent again has another row with the same body.
CREATE TABLE files (
    id     text   PRIMARY KEY,
    owner  text   NOT NULL,
    place  bigint NOT NULL,                   -- position among its owner's files
    size   bigint NOT NULL,
    body   text   NOT NULL,
    sealed bytea  NOT NULL                    -- name and type
);
CREATE INDEX files_of_owner ON files (owner, place);
CREATE INDEX files_of_body ON files (body);

CREATE TABLE notes (
    id           text        PRIMARY KEY,
    conversation text        NOT NULL REFERENCES conversations,
    author       text        NOT NULL,
    at           timestamptz NOT NULL,
    sealed       bytea       NOT NULL
);
CREATE INDEX notes_in_order ON notes (conversation, at);

CREATE TABLE drafts (
    id           text        PRIMARY KEY,
    mailbox      text        NOT NULL REFERENCES mailboxes,
    conversation text        REFERENCES conversations,
    reply_to     text,
    seen         int,                         -- number of the conversation's messages seen so far
    version      int         NOT NULL,
    stage        text        NOT NULL,
    writer       text        NOT NULL,
    saved_at     timestamptz NOT NULL,
    asked_by     text,
    approved_by  text,
    until        timestamptz,                 -- end of the time in which sending can be undone
    sealed       bytea       NOT NULL
);
CREATE INDEX drafts_of_mailbox ON drafts (mailbox, saved_at) WHERE stage <> 'sent';
CREATE INDEX drafts_of_conversation ON drafts (conversation) WHERE stage <> 'sent';

-- People who have seen a message, and how.
CREATE TABLE readings (
    message  text        NOT NULL,
    person   text        NOT NULL,
    act      text        NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    PRIMARY KEY (message, person, act)
);

-- Search words, under a random token, for at most a day.
CREATE TABLE searches (
    id     text        PRIMARY KEY,
    person text        NOT NULL,
    at     timestamptz NOT NULL,
    sealed bytea       NOT NULL
);

-- Addresses that messages were sent to. `unanswered` counts messages without a receipt since the last
-- receipt.
CREATE TABLE addresses (
    id         text        PRIMARY KEY,
    mark       bytea       NOT NULL UNIQUE,
    used       int         NOT NULL,
    used_at    timestamptz NOT NULL,
    receipt_at timestamptz,
    unanswered int         NOT NULL,
    sealed     bytea       NOT NULL
);

CREATE TABLE favourites (
    id     text  PRIMARY KEY,
    person text  NOT NULL,
    mark   bytea NOT NULL,
    sealed bytea NOT NULL,
    UNIQUE (person, mark)
);

-- Settings of this vault's message client: its message service, and the key by which that knows it.
CREATE TABLE settings (
    name   text  PRIMARY KEY,
    sealed bytea NOT NULL
);

CREATE FUNCTION keep_setting(name text, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO settings VALUES ($1, $2) ON CONFLICT ON CONSTRAINT settings_pkey DO UPDATE SET sealed = excluded.sealed
$$;

-- An existing setting stays, so that two processes that create a key at the same time use the same one.
CREATE FUNCTION keep_first_setting(name text, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO settings VALUES ($1, $2) ON CONFLICT DO NOTHING
$$;

-- Store a mailbox; return false if there is another one with that address.
CREATE FUNCTION keep_mailbox(id text, mark bytea, needs_approval boolean, undo_seconds int, sealed bytea)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM mailboxes m WHERE m.mark = $2 AND m.id <> $1;
    IF FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO mailboxes VALUES ($1, $2, $3, $4, $5) ON CONFLICT ON CONSTRAINT mailboxes_pkey
    DO UPDATE SET needs_approval = excluded.needs_approval, undo_seconds = excluded.undo_seconds,
                  sealed = excluded.sealed, mark = excluded.mark;
    RETURN true;
END $$;

CREATE FUNCTION store_body(id text, size bigint, sha256 bytea, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO bodies VALUES ($1, $2, $3, $4)
$$;

CREATE FUNCTION store_file(id text, owner text, place bigint, size bigint, body text, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO files VALUES ($1, $2, $3, $4, $5, $6)
$$;

-- Store a message in the conversation with that mark, which is begun if there is none. Returns the
-- conversation, or NULL, without changes, if the message exists already. `message` has the columns of a row
-- except the conversation.
CREATE FUNCTION store_mail(message text, home text, thread bytea, conversation text, named bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    one   messages%ROWTYPE := jsonb_populate_record(NULL::messages, message::jsonb);
    came  int := (one.direction = 'in')::int;
    place text;
BEGIN
    INSERT INTO conversations AS c
    VALUES (conversation, home, home, thread, 0, NULL, false, false, one.at, NULL, 0, 0, 0, 0, named)
    ON CONFLICT ON CONSTRAINT conversations_home_mark_key DO UPDATE SET version = c.version
    RETURNING c.id INTO place;  -- locked now, new or not
    one.conversation := place;
    INSERT INTO messages SELECT (one).* ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        DELETE FROM conversations c WHERE c.id = place AND c.version = 0;
        RETURN NULL;
    END IF;
    UPDATE conversations c SET
        version = c.version + 1, done = c.done AND came = 0, confidential = c.confidential OR one.confidential,
        latest_at = greatest(c.latest_at, one.at), messages = c.messages + 1, files = c.files + one.files,
        sent_at = CASE WHEN came = 0 THEN greatest(c.sent_at, one.at) ELSE c.sent_at END, unread = c.unread + came,
        unreadable = c.unreadable + (one.stage = 'unreadable')::int
    WHERE c.id = place;
    RETURN place;
END $$;

-- Change a conversation. Returns the new version; minus the current one if it is not `known`; NULL if the
-- conversation does not exist.
CREATE FUNCTION change_conversation(conversation text, known int, handler text, done boolean, mailbox text)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    found int;
BEGIN
    UPDATE conversations c SET version = c.version + 1, handler = handler, done = done, mailbox = mailbox
    WHERE c.id = conversation AND c.version = known RETURNING c.version INTO found;
    IF found IS NULL THEN
        SELECT -c.version INTO found FROM conversations c WHERE c.id = conversation;
    ELSE
        UPDATE drafts d SET mailbox = mailbox WHERE d.conversation = conversation AND d.mailbox <> mailbox;
    END IF;
    RETURN found;
END $$;

-- Add a note; return false if the conversation does not exist.
CREATE FUNCTION add_note(id text, conversation text, author text, at timestamptz, sealed bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE conversations c SET version = c.version + 1 WHERE c.id = $2;
    IF FOUND THEN
        INSERT INTO notes VALUES ($1, $2, $3, $4, $5);
        RETURN true;
    END IF;
    RETURN false;
END $$;

-- Record that a person has seen messages; return those that had not been opened before.
CREATE FUNCTION note_reading(seen text[], person text, act text, at timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO readings AS r SELECT m.id, person, act, at, at FROM messages m WHERE m.id = ANY (seen)
    ON CONFLICT ON CONSTRAINT readings_pkey DO UPDATE SET last_at = greatest(r.last_at, excluded.last_at);
    RETURN QUERY
    WITH opened AS (
        UPDATE messages m SET opened_at = at
        WHERE m.id = ANY (seen) AND m.opened_at IS NULL AND m.direction = 'in' RETURNING m.id, m.conversation
    ), counted AS (
        UPDATE conversations c SET unread = c.unread - n.number
        FROM (SELECT o.conversation, count(*)::int AS number FROM opened o GROUP BY o.conversation) n
        WHERE c.id = n.conversation
    )
    SELECT o.id FROM opened o;
END $$;

-- Store a draft, or change the one whose version is `known`; return false if it has another version.
CREATE FUNCTION keep_draft(draft text, known int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    one drafts%ROWTYPE := jsonb_populate_record(NULL::drafts, draft::jsonb);
BEGIN
    IF known = 0 THEN
        INSERT INTO drafts SELECT (one).*;
        RETURN true;
    END IF;
    UPDATE drafts d SET (version, stage, writer, saved_at, asked_by, approved_by, until, sealed)
    = ROW (known + 1, one.stage, one.writer, one.saved_at, one.asked_by, one.approved_by, one.until, one.sealed)
    WHERE d.id = one.id AND d.version = known;
    RETURN FOUND;
END $$;

-- Record how many messages of its conversation the writer of a draft has seen.
CREATE FUNCTION see_news(draft text, writer text, seen int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE drafts d SET seen = $3 WHERE d.id = $1 AND d.writer = $2 AND d.stage IN ('open', 'approved');
    RETURN FOUND;
END $$;

-- Prepare a change of a draft's files, which only its writer may make, and only until it is sent. An approval
-- is revoked, and the version changes, so that the draft is not sent unseen. Returns false if the change is
-- not allowed.
CREATE FUNCTION _change_files(draft text, writer text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE drafts d SET /*[change-files-takes-approval-away*/stage = 'open', approved_by = NULL, asked_by = NULL,/*]*/ /*[change-files-change-draft-version*/version = d.version + 1/*]*/
    WHERE d.id = $1 AND d.writer = $2 AND d.stage IN ('open', 'approved');
    RETURN FOUND;
END $$;

CREATE FUNCTION add_draft_file(id text, draft text, writer text, size bigint, body text, sealed bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT _change_files($2, $3) THEN
        RETURN false;
    END IF;
    INSERT INTO files VALUES ($1, $2, coalesce((SELECT max(f.place) + 1 FROM files f WHERE f.owner = $2), 0), $4, $5, $6);
    RETURN true;
END $$;

-- Remove a file; return its body if there is an object to be removed once this is committed.
CREATE FUNCTION drop_file(file text, of_owner text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    stored text;
    remote text;
BEGIN
    DELETE FROM files f WHERE f.id = file AND f.owner = of_owner RETURNING f.body INTO stored;
    IF FOUND AND NOT EXISTS (SELECT FROM files f WHERE f.body = stored) THEN
        remote := _drop_body(stored);
        IF remote IS NOT NULL THEN
            RETURN NEXT remote;
        END IF;
    END IF;
END $$;

-- Remove a file of a draft. Returns no row if that is not allowed, otherwise an empty one, and another with
-- the object to be removed, if any.
CREATE FUNCTION drop_draft_file(file text, draft text, writer text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF _change_files($2, $3) THEN
        RETURN NEXT NULL::text;
        RETURN QUERY SELECT * FROM drop_file($1, $2);
    END IF;
END $$;

-- Remove an unsent draft with its files; return the objects to be removed. Returns nothing if the version is
-- another.
CREATE FUNCTION drop_draft(draft text, known int) RETURNS TABLE (dropped boolean, remote text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM drafts d WHERE d.id = draft AND d.version = known AND d.stage NOT IN ('window', 'sent');
    IF FOUND THEN
        RETURN QUERY SELECT true, NULL::text
        UNION ALL SELECT true, gone FROM files f CROSS JOIN LATERAL drop_file(f.id, f.owner) AS gone WHERE f.owner = draft;
    END IF;
END $$;

-- Undo sending while all of it can be undone: the messages are removed, and the draft is as it was. Returns a
-- row for each message, with the object to be removed, if any; no row if it is too late.
CREATE FUNCTION undo_sending(sent text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    one messages%ROWTYPE;
BEGIN
    PERFORM FROM drafts d WHERE d.id = sent AND d.stage = 'window' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR one IN SELECT * FROM messages m WHERE m.draft = sent FOR UPDATE LOOP
        DELETE FROM messages m WHERE m.id = one.id;
        DELETE FROM readings r WHERE r.message = one.id;
        UPDATE conversations c SET
            version = c.version + 1, messages = c.messages - 1, files = c.files - one.files,
            latest_at = coalesce((SELECT max(m.at) FROM messages m WHERE m.conversation = c.id), c.latest_at),
            sent_at = (SELECT max(m.at) FROM messages m WHERE m.conversation = c.id AND m.direction = 'out'),
            confidential = EXISTS (SELECT FROM messages m WHERE m.conversation = c.id AND m.confidential)
        WHERE c.id = one.conversation;
        RETURN NEXT _drop_body(one.body);
    END LOOP;
    UPDATE drafts d SET stage = CASE WHEN d.approved_by IS NULL THEN 'open' ELSE 'approved' END, until = NULL,
                        version = d.version + 1
    WHERE d.id = sent;
END $$;

-- End the expired windows for undoing: their messages are now to be sent.
CREATE FUNCTION end_windows(now timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RETURN QUERY
    WITH over AS (
        SELECT d.id FROM drafts d WHERE d.stage = 'window' /*[message-waits-for-undo-window*/AND d.until <= now/*]*/ FOR UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE drafts d SET stage = 'sent', until = NULL, version = d.version + 1 FROM over WHERE d.id = over.id
        RETURNING d.id
    )
    UPDATE messages m SET stage = 'outbox', since = now, due_at = now FROM ended
    WHERE m.draft = ended.id AND m.stage = 'window' RETURNING m.id;
END $$;

-- Claim messages that are due.
CREATE FUNCTION claim_mail(now timestamptz, claimed_until timestamptz, most int) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT m.id FROM messages m WHERE m.due_at <= $1 AND m.stage IN ('outbox', 'handed-over')
        ORDER BY m.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE messages m SET due_at = $2, attempts = m.attempts + 1 FROM due WHERE m.id = due.id RETURNING m.id
$$;

-- Move a message to its next stage; `due` is when to continue, NULL for never.
CREATE FUNCTION move_mail(
    message text, new_stage text, new_status text, new_remote bytea, now timestamptz, due timestamptz,
    new_attempts int, new_sealed bytea, new_delivery bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE messages m SET
        since = CASE WHEN m.stage = new_stage AND m.status IS NOT DISTINCT FROM new_status THEN m.since ELSE now END,
        stage = new_stage, status = new_status, remote = coalesce(new_remote, m.remote), due_at = due,
        attempts = new_attempts, sealed = new_sealed, delivery = coalesce(new_delivery, m.delivery)
    WHERE m.id = message AND m.direction = 'out' AND m.stage IN ('outbox', 'handed-over');
    RETURN FOUND;
END $$;

CREATE FUNCTION keep_search(id text, person text, at timestamptz, sealed bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM searches s WHERE s.at < $3 - interval '1 day';
    INSERT INTO searches VALUES ($1, $2, $3, $4);
END $$;

-- Count a message to an address, whose name stays as it was at its first use.
CREATE FUNCTION use_address(id text, mark bytea, at timestamptz, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO addresses AS a VALUES ($1, $2, 1, $3, NULL, 1, $4) ON CONFLICT ON CONSTRAINT addresses_mark_key
    DO UPDATE SET used = a.used + 1, used_at = excluded.used_at, unanswered = a.unanswered + 1
$$;

CREATE FUNCTION address_answered(mark bytea, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE addresses a SET receipt_at = $2, unanswered = 0 WHERE a.mark = $1
$$;

CREATE FUNCTION keep_favourite(id text, person text, mark bytea, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO favourites VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION drop_favourite(person text, mark bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM favourites f WHERE f.person = $1 AND f.mark = $2
$$;
