-- Mailboxes: the organisation's own functional address that a message was sent from or received at. A message
-- client may access the messages of a mailbox. Facts about refused messages have no size and belong to none.

ALTER TABLE messages
    ADD COLUMN dated_at timestamptz,      -- the message's own time stamp
    ADD COLUMN mailbox bytea GENERATED ALWAYS AS (
        CASE direction WHEN 'out' THEN sender_mark ELSE recipient_mark END
    ) STORED;
UPDATE messages SET dated_at = created_at;
ALTER TABLE messages ALTER COLUMN dated_at SET NOT NULL;
CREATE INDEX messages_by_mailbox ON messages (mailbox, created_at, id, direction)
    WHERE details IS NOT NULL AND size > 0;

DROP FUNCTION store_message, receive_message;

-- Store a message and its body, if any; return false, without changes, if its id is known in that direction.
CREATE FUNCTION store_message(
    id text, direction text, status text, conversation_id text, ref_to_message_id text, sender text,
    recipient text, sender_mark bytea, recipient_mark bytea, document text, created_at timestamptz,
    updated_at timestamptz, dated_at timestamptz, confidentiality boolean, size bigint, details bytea,
    body text, body_size bigint, body_digest bytea, body_sealed bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO messages (
        id, direction, status, conversation_id, ref_to_message_id, sender, recipient, sender_mark,
        recipient_mark, document, created_at, updated_at, dated_at, confidentiality, size, details, body
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF body IS NOT NULL THEN
        INSERT INTO bodies VALUES ($17, $18, $19, $20);
    END IF;
    RETURN true;
END $$;

-- Run take_item, then store_message; the item is not marked if another message has that id.
CREATE FUNCTION receive_message(
    item text, at timestamptz,
    id text, direction text, status text, conversation_id text, ref_to_message_id text, sender text,
    recipient text, sender_mark bytea, recipient_mark bytea, document text, created_at timestamptz,
    updated_at timestamptz, dated_at timestamptz, confidentiality boolean, size bigint, details bytea,
    body text, body_size bigint, body_digest bytea, body_sealed bytea
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT take_item(item, at) THEN
        RETURN 'duplicate-delivery';
    END IF;
    IF store_message(
        $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22
    ) THEN
        RETURN 'stored';
    END IF;
    DELETE FROM processed p WHERE p.item = $1;
    RETURN 'duplicate-id';
END $$;
