-- Disposal of conversations by decisions (vault/maildisposal.py): rules of mailboxes, holds, proposals that a
-- second person approves, and a record of what was removed. Decisions, reasons and recorded facts about
-- messages are sealed.

-- When conversations were done; for those that were done before, when this table was created.
CREATE TABLE finished (
    id text        PRIMARY KEY REFERENCES conversations ON DELETE CASCADE,
    at timestamptz NOT NULL
);
CREATE FUNCTION _keep_finished() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.done THEN
        INSERT INTO finished VALUES (NEW.id, clock_timestamp()) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM finished f WHERE f.id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_finished AFTER INSERT OR UPDATE OF done ON conversations
FOR EACH ROW EXECUTE FUNCTION _keep_finished();
INSERT INTO finished SELECT c.id, clock_timestamp() FROM conversations c WHERE c.done;

-- The rule of a mailbox: a number of days after its conversations were done or registered.
CREATE TABLE disposal_rules (
    id     text        PRIMARY KEY REFERENCES mailboxes,
    since  text        NOT NULL CHECK (since IN ('done', 'registered')),
    days   int         NOT NULL CHECK (days BETWEEN 1 AND 36500),
    person text        NOT NULL,
    at     timestamptz NOT NULL,
    sealed bytea       NOT NULL     -- the decision that it is based on
);
CREATE FUNCTION keep_disposal_rule(mailbox text, since text, days int, person text, at timestamptz, sealed bytea)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO disposal_rules VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT ON CONSTRAINT disposal_rules_pkey
    DO UPDATE SET since = excluded.since, days = excluded.days, person = excluded.person, at = excluded.at,
                  sealed = excluded.sealed
$$;

-- Conversations that are not disposed of, whatever a rule says.
CREATE TABLE holds (
    id     text        PRIMARY KEY REFERENCES conversations,
    person text        NOT NULL,
    at     timestamptz NOT NULL,
    sealed bytea       NOT NULL     -- the reason
);
-- Hold a conversation whose version is `known`, or without `sealed` end the hold; returns the same as
-- keep_registration.
CREATE FUNCTION keep_hold(conversation text, known int, person text, at timestamptz, sealed bytea) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    found int;
BEGIN
    UPDATE conversations c SET version = c.version + 1 WHERE c.id = $1 AND c.version = $2 RETURNING c.version INTO found;
    IF found IS NULL THEN
        SELECT -c.version INTO found FROM conversations c WHERE c.id = $1;
        RETURN found;
    END IF;
    DELETE FROM holds h WHERE h.id = $1;
    IF $5 IS NOT NULL THEN
        INSERT INTO holds VALUES ($1, $3, $4, $5);
    END IF;
    RETURN found;
END $$;

-- A disposal: proposed, approved by a second person, then carried out piece by piece.
CREATE TABLE disposals (
    id           text        PRIMARY KEY,
    mailbox      text        NOT NULL REFERENCES mailboxes,
    stage        text        NOT NULL CHECK (stage IN ('proposed', 'agreed', 'done', 'dropped')),
    since        text        NOT NULL,
    before       timestamptz NOT NULL,    -- of conversations that were done or registered before then
    proposed_by  text        NOT NULL,
    proposed_at  timestamptz NOT NULL,
    agreed_by    text,
    agreed_at    timestamptz,
    done_at      timestamptz,
    sealed       bytea       NOT NULL     -- the decision
);
CREATE TABLE disposal_items (
    disposal     text    NOT NULL REFERENCES disposals,
    conversation text    NOT NULL,
    state        text    NOT NULL CHECK (state IN ('waits', 'gone', 'kept')),
    messages     int     NOT NULL,
    files        int     NOT NULL,
    PRIMARY KEY (disposal, conversation)
);
CREATE INDEX disposal_items_waiting ON disposal_items (disposal) WHERE state = 'waits';

-- The record of each removed message. The marks keep it from being fetched again from a message service that
-- has it.
CREATE TABLE disposed (
    id           text        PRIMARY KEY,   -- that the message had
    disposal     text        NOT NULL,
    conversation text        NOT NULL,
    direction    text        NOT NULL,
    mark         bytea       NOT NULL,      -- of the messageId
    remote       bytea,                     -- of the id at the message service
    at           timestamptz NOT NULL,      -- of arrival or sending
    gone_at      timestamptz NOT NULL,
    sealed       bytea       NOT NULL       -- ids and digests
);
CREATE INDEX disposed_marks ON disposed (mark);
CREATE INDEX disposed_remote ON disposed (remote);
CREATE INDEX disposed_of ON disposed (disposal, id);

-- Return whether a conversation can be disposed of: all its messages are opened and final, it has no draft
-- and no hold, and it was done or registered before a time.
CREATE FUNCTION _disposable(c conversations, since text, before timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT c.unread = 0
       AND NOT EXISTS (SELECT FROM holds h WHERE h.id = c.id)
       AND NOT EXISTS (SELECT FROM drafts d WHERE d.conversation = c.id AND d.stage <> 'sent')
       AND NOT EXISTS (
           SELECT FROM messages m WHERE m.conversation = c.id AND m.direction = 'out' AND NOT (
               m.stage IN ('refused', 'not-sent')
               OR (m.stage = 'handed-over' AND m.status IN ('ACCEPTED', 'MESSAGE_EXCHANGE_ERROR'))
           )
       )
       AND CASE since
           WHEN 'done' THEN c.done AND EXISTS (SELECT FROM finished f WHERE f.id = c.id AND f.at < before)
           ELSE EXISTS (SELECT FROM registrations r WHERE r.id = c.id AND r.at < before)
       END
$$;

-- Conversations of a mailbox that can be disposed of, oldest first.
CREATE FUNCTION disposable(mailbox text, since text, before timestamptz, most int)
RETURNS TABLE (conversation text, messages int, files int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT c.id, c.messages, c.files FROM conversations c
    WHERE c.mailbox = $1 AND c.messages > 0 AND _disposable(c, $2, $3) ORDER BY c.latest_at, c.id LIMIT $4
$$;

-- Propose to dispose of what can be now; return false if a disposal of the mailbox is in progress.
CREATE FUNCTION propose_disposal(
    id text, mailbox text, since text, before timestamptz, person text, at timestamptz, sealed bytea, most int
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM mailboxes m WHERE m.id = $2 FOR UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM disposals d WHERE d.mailbox = $2 AND d.stage IN ('proposed', 'agreed')) THEN
        RETURN false;
    END IF;
    INSERT INTO disposals VALUES ($1, $2, 'proposed', $3, $4, $5, $6, NULL, NULL, NULL, $7);
    INSERT INTO disposal_items SELECT $1, o.conversation, 'waits', o.messages, o.files FROM disposable($2, $3, $4, $8) o;
    RETURN true;
END $$;

-- Approve a disposal, or drop it; return false if it is no longer proposed.
CREATE FUNCTION decide_disposal(disposal text, agreed boolean, person text, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE disposals d SET stage = CASE WHEN agreed THEN 'agreed' ELSE 'dropped' END, agreed_by = person, agreed_at = at
    WHERE d.id = disposal AND d.stage = 'proposed';
    RETURN FOUND;
END $$;

-- Dispose of one conversation of an approved disposal and record it, or keep it if that is no longer
-- possible. Returns at least one row: whether it was removed, and the objects to be removed once this is
-- committed. `rows` are those for `disposed`, one for each message of the conversation.
CREATE FUNCTION dispose_conversation(disposal text, conversation text, rows text)
RETURNS TABLE (gone boolean, remote text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    decision disposals%ROWTYPE;
    one      conversations%ROWTYPE;
BEGIN
    SELECT * INTO decision FROM disposals d WHERE d.id = disposal /*[only-was-agreed-disposed*/AND d.stage = 'agreed'/*]*/ FOR SHARE;
    PERFORM FROM disposal_items i
    WHERE i.disposal = disposal AND i.conversation = conversation AND i.state = 'waits' FOR UPDATE;
    IF NOT FOUND OR decision.id IS NULL THEN
        RETURN QUERY SELECT false, NULL::text;
        RETURN;
    END IF;
    SELECT * INTO one FROM conversations c WHERE c.id = conversation FOR UPDATE;
    PERFORM FROM messages m WHERE m.conversation = conversation FOR UPDATE;
    IF one.id IS NULL OR one.mailbox <> decision.mailbox /*[disposal-checked-again-something-goes*/OR NOT _disposable(one, decision.since, decision.before)/*]*/
       OR (SELECT count(*) FROM messages m WHERE m.conversation = conversation)
          <> (SELECT count(*) FROM jsonb_populate_recordset(NULL::disposed, rows::jsonb) r
              JOIN messages m ON m.id = r.id AND m.conversation = conversation) THEN
        UPDATE disposal_items i SET state = 'kept' WHERE i.disposal = disposal AND i.conversation = conversation;
        RETURN QUERY SELECT false, NULL::text;
        RETURN;
    END IF;
    INSERT INTO disposed SELECT * FROM jsonb_populate_recordset(NULL::disposed, rows::jsonb);
    RETURN QUERY SELECT true, NULL::text UNION ALL SELECT true, r FROM _remove_conversation(conversation) AS r;
    UPDATE disposal_items i SET state = 'gone' WHERE i.disposal = disposal AND i.conversation = conversation;
END $$;

-- Remove a conversation with everything that belongs to it alone; return the objects to be removed. Files
-- that were sent to several recipients stay with the remaining messages.
CREATE FUNCTION _remove_conversation(conversation text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    owner  text;
    file   text;
    sent   text[];
    bodies text[];
BEGIN
    SELECT array_agg(DISTINCT m.draft) FILTER (WHERE m.draft IS NOT NULL), array_agg(m.body) INTO sent, bodies
    FROM messages m WHERE m.conversation = conversation;
    DELETE FROM readings r USING messages m WHERE m.conversation = conversation AND r.message = m.id;
    DELETE FROM notes n WHERE n.conversation = conversation;
    DELETE FROM registrations r WHERE r.id = conversation;
    FOR owner, file IN
        SELECT f.owner, f.id FROM files f JOIN messages m ON f.owner = m.id WHERE m.conversation = conversation
    LOOP
        RETURN QUERY SELECT * FROM drop_file(file, owner);
    END LOOP;
    DELETE FROM messages m WHERE m.conversation = conversation;
    FOREACH owner IN ARRAY coalesce(sent, '{}') LOOP
        CONTINUE WHEN EXISTS (SELECT FROM messages m WHERE m.draft = owner);
        FOR file IN SELECT f.id FROM files f WHERE f.owner = owner LOOP
            RETURN QUERY SELECT * FROM drop_file(file, owner);
        END LOOP;
        DELETE FROM drafts d WHERE d.id = owner;
    END LOOP;
    DELETE FROM drafts d WHERE d.conversation = conversation;  -- Only sent ones are left.
    FOREACH owner IN ARRAY coalesce(bodies, '{}') LOOP
        file := _drop_body(owner);
        IF file IS NOT NULL THEN
            RETURN NEXT file;
        END IF;
    END LOOP;
    DELETE FROM conversations c WHERE c.id = conversation;
END $$;

-- Record that a disposal is done once none of its conversations waits; return false before.
CREATE FUNCTION end_disposal(disposal text, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE disposals d SET stage = 'done', done_at = $2
    WHERE d.id = $1 AND d.stage = 'agreed'
      AND NOT EXISTS (SELECT FROM disposal_items i WHERE i.disposal = $1 AND i.state = 'waits');
    RETURN FOUND;
END $$;
