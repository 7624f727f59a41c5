-- Delete a message with its body, events and receipts; its id stays known, so that it cannot be used again.
-- Work under the message's id belongs to the sent message: a received one with the same id has none.
CREATE OR REPLACE FUNCTION delete_message(message text, way text, OUT deleted boolean, OUT remote text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    stored text;
BEGIN
    SELECT m.body INTO stored FROM messages m
    WHERE m.id = message AND m.direction = way AND m.details IS NOT NULL FOR UPDATE;
    deleted := FOUND;
    IF deleted THEN
        remote := _drop_body(stored);
        UPDATE messages m SET body = NULL, details = NULL, sender_mark = '', recipient_mark = ''
        WHERE m.id = message AND m.direction = way;
        DELETE FROM status_events e WHERE e.message = message AND e.direction = way;
        DELETE FROM receipts r WHERE r.message = message AND r.direction <> way;
        IF way = 'out' THEN
            DELETE FROM work w WHERE w.id = message;
        END IF;
    END IF;
END $$;
