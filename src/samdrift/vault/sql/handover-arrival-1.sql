-- Import of registrations into an organisation's vault in the message client (vault/portability/arrival.py).

CREATE FUNCTION arrive_registrations(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO registrations SELECT * FROM jsonb_populate_recordset(NULL::registrations, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;
