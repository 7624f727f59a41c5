-- Import of an organisation's data into its vault in the message client or governance
-- (vault/portability/arrival.py).

CREATE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM records)
$$;

CREATE FUNCTION arrive_records(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    /*[records-arrive-arrival-way-alone*/PERFORM _arriving();/*]*/
    INSERT INTO records SELECT * FROM jsonb_populate_recordset(NULL::records, rows::jsonb) ON CONFLICT DO NOTHING;
END $$;

-- End the import. There is no work in progress that another supplier could continue.
CREATE FUNCTION end_arrival(at timestamptz, taken_over boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    UPDATE arrivals SET done_at = at;
END $$;
