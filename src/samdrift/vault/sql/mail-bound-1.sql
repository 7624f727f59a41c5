-- Rows of the message client that carry rights are bound to their content by a keyed mark, which write access
-- to the database is not enough to make (vault/mailbonds.py).

ALTER TABLE conversations ADD COLUMN bound bytea;  -- to its home and its current mailbox
ALTER TABLE messages      ADD COLUMN bound bytea;  -- to its conversation and its documents
ALTER TABLE files         ADD COLUMN bound bytea;  -- to its owner and its content

-- Bind a stored message, and its conversation if that has just begun.
CREATE FUNCTION bind_mail(message text, bound bytea, conversation text, begun bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE messages m SET bound = $2 WHERE m.id = $1 AND m.bound IS NULL;
    UPDATE conversations c SET bound = $4 WHERE c.id = $3 AND c.bound IS NULL;
END $$;

DROP FUNCTION store_file(text, text, bigint, bigint, text, bytea);
CREATE FUNCTION store_file(
    id text, owner text, place bigint, size bigint, body text, sealed bytea, bound bytea
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO files (id, owner, place, size, body, sealed, bound) VALUES ($1, $2, $3, $4, $5, $6, $7)
$$;

DROP FUNCTION add_draft_file(text, text, text, bigint, text, bytea);
CREATE FUNCTION add_draft_file(
    id text, draft text, writer text, size bigint, body text, sealed bytea, bound bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT _change_files($2, $3) THEN
        RETURN false;
    END IF;
    INSERT INTO files (id, owner, place, size, body, sealed, bound)
    VALUES ($1, $2, coalesce((SELECT max(f.place) + 1 FROM files f WHERE f.owner = $2), 0), $4, $5, $6, $7);
    RETURN true;
END $$;

-- As in mail-1.sql, and bind the conversation.
DROP FUNCTION change_conversation(text, int, text, boolean, text);
CREATE FUNCTION change_conversation(
    conversation text, known int, handler text, done boolean, mailbox text, bound bytea
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    found int;
BEGIN
    UPDATE conversations c
    SET version = c.version + 1, handler = handler, done = done, mailbox = mailbox, bound = bound
    WHERE c.id = conversation AND c.version = known RETURNING c.version INTO found;
    IF found IS NULL THEN
        SELECT -c.version INTO found FROM conversations c WHERE c.id = conversation;
    ELSE
        UPDATE drafts d SET mailbox = mailbox WHERE d.conversation = conversation AND d.mailbox <> mailbox;
    END IF;
    RETURN found;
END $$;
