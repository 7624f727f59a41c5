-- Digests have the log's retention, and move with the log (vault/portability/arrival.py).

CREATE FUNCTION arrive_digests(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO digests SELECT * FROM jsonb_populate_recordset(NULL::digests, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;
