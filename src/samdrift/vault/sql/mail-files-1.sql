-- Files with the same body, such as one that is forwarded, and files of a draft that was sent to several
-- recipients: transactions that change them at the same time wait for each other, so that a body is removed
-- with the last of its files, and a draft with the last of its messages.

-- As in mail-1.sql, and look for other files with the body only when no other transaction adds or removes one.
CREATE OR REPLACE FUNCTION drop_file(file text, of_owner text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    stored text;
    remote text;
BEGIN
    DELETE FROM files f WHERE f.id = file AND f.owner = of_owner RETURNING f.body INTO stored;
    /*[body-removed-when-adds-file*/PERFORM FROM bodies b WHERE b.id = stored FOR UPDATE;/*]*/
    IF FOUND AND NOT EXISTS (SELECT FROM files f WHERE f.body = stored) THEN
        remote := _drop_body(stored);
        IF remote IS NOT NULL THEN
            RETURN NEXT remote;
        END IF;
    END IF;
END $$;

-- As in mail-bound-1.sql, and keep the body until this is committed; it may have been removed with the message
-- whose file is forwarded.
CREATE OR REPLACE FUNCTION add_draft_file(
    id text, draft text, writer text, size bigint, body text, sealed bytea, bound bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT _change_files($2, $3) THEN
        RETURN false;
    END IF;
    PERFORM FROM bodies b WHERE b.id = $5 /*[file-forwarded-keeps-body*/FOR KEY SHARE/*]*/;
    IF NOT FOUND THEN
        /*[file-without-body-forwarded*/RAISE 'no such body' USING ERRCODE = 'SD404'/*]*/;
    END IF;
    INSERT INTO files (id, owner, place, size, body, sealed, bound)
    VALUES ($1, $2, coalesce((SELECT max(f.place) + 1 FROM files f WHERE f.owner = $2), 0), $4, $5, $6, $7);
    RETURN true;
END $$;

-- As in mail-disposal-1.sql, and see which messages of a sent draft remain only when no other transaction
-- removes one.
CREATE OR REPLACE FUNCTION _remove_conversation(conversation text) RETURNS SETOF text
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
    /*[draft-removed-when-removes-message*/PERFORM FROM drafts d WHERE d.id = ANY (sent) ORDER BY d.id FOR UPDATE;/*]*/
    DELETE FROM readings r USING messages m WHERE m.conversation = conversation AND r.message = m.id;
    DELETE FROM notes n WHERE n.conversation = conversation;
    DELETE FROM registrations r WHERE r.id = conversation;
    FOR owner, file IN
        SELECT f.owner, f.id FROM files f JOIN messages m ON f.owner = m.id WHERE m.conversation = conversation
        ORDER BY f.owner, f.place
    LOOP
        RETURN QUERY SELECT * FROM drop_file(file, owner);
    END LOOP;
    DELETE FROM messages m WHERE m.conversation = conversation;
    FOREACH owner IN ARRAY coalesce(sent, '{}') LOOP
        CONTINUE WHEN EXISTS (SELECT FROM messages m WHERE m.draft = owner);
        FOR file IN SELECT f.id FROM files f WHERE f.owner = owner ORDER BY f.place LOOP
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
