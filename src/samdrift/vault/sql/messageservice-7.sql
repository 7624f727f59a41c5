-- Proofs of an exchange are kept as long as the log that names them, and not as long as the message:
-- receipts, and digests of messages, envelopes and receipts. A digest is sealed; the log has a commitment to
-- it (vault/records.py).

CREATE TABLE digests (
    commitment text  PRIMARY KEY,
    sealed     bytea NOT NULL             -- salt and digest
);

CREATE FUNCTION keep_digest(commitment text, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO digests VALUES ($1, $2) ON CONFLICT DO NOTHING
$$;

-- Delete a message with its body and events; its id stays known, so that it cannot be used again. Its
-- receipts stay, and so does the work on a receipt that has not reached the message's sender yet.
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
        /*[receipt-outlives-message-client-deletes*//*]*/IF way = 'out' THEN
            DELETE FROM work w WHERE w.id = message;
        END IF;
    END IF;
END $$;
