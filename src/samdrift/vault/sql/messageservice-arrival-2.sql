-- Import of marks of session keys, and of the keys that they were made with.

-- A mark without a session key is not content: it is the first one in every vault.
CREATE OR REPLACE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM messages) AND NOT EXISTS (SELECT FROM receipts)
       AND NOT EXISTS (SELECT FROM processed) AND NOT EXISTS (SELECT FROM work)
       AND NOT EXISTS (SELECT FROM session_keys WHERE envelope <> '')
$$;

CREATE FUNCTION arrive_session_keys(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO session_keys SELECT * FROM jsonb_populate_recordset(NULL::session_keys, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_mark_keys(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO mark_keys SELECT * FROM jsonb_populate_recordset(NULL::mark_keys, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;
