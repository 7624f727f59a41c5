-- What an organisation brought to its vault of message client or governance (vault/portability/arrival.py).

CREATE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM records)
$$;

CREATE FUNCTION arrive_records(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO records SELECT * FROM jsonb_populate_recordset(NULL::records, rows::jsonb) ON CONFLICT DO NOTHING;
END $$;

-- Everything is here. Nothing is under way that somebody else could go on with.
CREATE FUNCTION end_arrival(at timestamptz, taken_over boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    UPDATE arrivals SET done_at = at;
END $$;
