-- Import of an organisation's data into its vault in the access point (vault/portability/arrival.py).

CREATE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM transfers) AND NOT EXISTS (SELECT FROM incoming)
$$;

CREATE FUNCTION arrive_incoming(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO incoming SELECT * FROM jsonb_populate_recordset(NULL::incoming, rows::jsonb);
END $$;

CREATE FUNCTION arrive_transfers(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO transfers SELECT * FROM jsonb_populate_recordset(NULL::transfers, rows::jsonb);
END $$;

CREATE FUNCTION arrive_attempts(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO attempts SELECT * FROM jsonb_populate_recordset(NULL::attempts, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_events(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO events SELECT * FROM jsonb_populate_recordset(NULL::events, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

-- End the import. New events are numbered after the imported ones. Unless pending transfers and envelopes
-- were taken over, they end here, since the former supplier continues with them. Returns the objects of
-- bodies to be removed then.
CREATE FUNCTION end_arrival(at timestamptz, taken_over boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    waiting text;
    remote  text;
BEGIN
    PERFORM _arriving();
    UPDATE log_head SET news = greatest(news, coalesce((SELECT max(e.sequence) FROM events e), 0));
    IF NOT taken_over THEN
        FOR waiting IN SELECT t.id FROM transfers t WHERE t.due_at IS NOT NULL LOOP
            SELECT e.remote INTO remote FROM end_transfer(waiting, 'failed', at, NULL, NULL, NULL) e;
            PERFORM tell(waiting, at, 'failed', 'given-up', 'the former supplier went on with it');
            IF remote IS NOT NULL THEN
                RETURN NEXT remote;
            END IF;
        END LOOP;
        FOR waiting IN SELECT i.id FROM incoming i WHERE i.acknowledged_at IS NULL LOOP
            SELECT a.remote INTO remote FROM acknowledge(waiting, at) a;
            IF remote IS NOT NULL THEN
                RETURN NEXT remote;
            END IF;
        END LOOP;
    END IF;
    UPDATE arrivals SET done_at = at;
END $$;
