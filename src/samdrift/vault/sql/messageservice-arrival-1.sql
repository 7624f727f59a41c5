-- Import of an organisation's data into its vault in the message service (vault/portability/arrival.py).

CREATE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM messages) AND NOT EXISTS (SELECT FROM receipts)
       AND NOT EXISTS (SELECT FROM processed) AND NOT EXISTS (SELECT FROM work)
$$;

-- The column `mailbox` is generated.
CREATE FUNCTION arrive_messages(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO messages (
        id, direction, status, conversation_id, ref_to_message_id, sender, recipient, sender_mark,
        recipient_mark, document, created_at, updated_at, dated_at, confidentiality, size, body, details
    )
    SELECT m.id, m.direction, m.status, m.conversation_id, m.ref_to_message_id, m.sender, m.recipient,
           m.sender_mark, m.recipient_mark, m.document, m.created_at, m.updated_at, m.dated_at,
           m.confidentiality, m.size, m.body, m.details
    FROM jsonb_populate_recordset(NULL::messages, rows::jsonb) m;
END $$;

-- In the order of their numbers, which are assigned again.
CREATE FUNCTION arrive_status_events(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO status_events (message, direction, at, status, details)
    SELECT e.message, e.direction, e.at, e.status, e.details
    FROM jsonb_populate_recordset(NULL::status_events, rows::jsonb) e ORDER BY e.number;
END $$;

CREATE FUNCTION arrive_receipts(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO receipts SELECT * FROM jsonb_populate_recordset(NULL::receipts, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_processed(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO processed SELECT * FROM jsonb_populate_recordset(NULL::processed, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_cursors(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO cursors SELECT * FROM jsonb_populate_recordset(NULL::cursors, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_work(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO work SELECT * FROM jsonb_populate_recordset(NULL::work, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

-- End the import. Unless the work was taken over, it ends by its deadline: the former supplier continues with
-- it.
CREATE FUNCTION end_arrival(at timestamptz, taken_over boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    IF NOT taken_over THEN
        INSERT INTO work (kind, id, due_at) SELECT 'deadline', w.id, $1 FROM work w WHERE w.kind <> 'deadline'
        ON CONFLICT DO NOTHING;
        DELETE FROM work w WHERE w.kind <> 'deadline';
    END IF;
    UPDATE arrivals SET done_at = $1;
END $$;
