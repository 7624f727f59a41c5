-- Import of the record of signed statements into an organisation's governance (vault/portability/arrival.py).

CREATE OR REPLACE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM records) AND NOT EXISTS (SELECT FROM signed_statements)
$$;

CREATE FUNCTION arrive_signed_statements(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO signed_statements SELECT * FROM jsonb_populate_recordset(NULL::signed_statements, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;
