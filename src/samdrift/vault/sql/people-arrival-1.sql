-- Import of people and statements into an organisation's vault in the message client
-- (vault/portability/arrival.py).

CREATE OR REPLACE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT /*[export-arrives-message-keeps-something*/NOT EXISTS (SELECT FROM records) AND/*]*/ NOT EXISTS (SELECT FROM mailboxes)
       AND NOT EXISTS (SELECT FROM addresses) AND NOT EXISTS (SELECT FROM favourites)
       AND NOT EXISTS (SELECT FROM persons) AND NOT EXISTS (SELECT FROM statements)
$$;

CREATE FUNCTION arrive_persons(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO persons SELECT * FROM jsonb_populate_recordset(NULL::persons, rows::jsonb) ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_statements(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO statements SELECT * FROM jsonb_populate_recordset(NULL::statements, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;
