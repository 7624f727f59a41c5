-- Import of holds, rules and records of disposal into an organisation's vault in the message client
-- (vault/portability/arrival.py). A disposal in progress is not imported: it is proposed again.

DO $do$
DECLARE
    arriving text;
BEGIN
    FOREACH arriving IN ARRAY ARRAY['disposal_rules', 'holds', 'disposed'] LOOP
        EXECUTE format($create$
            CREATE FUNCTION %1$I(rows text) RETURNS void
            LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
            BEGIN
                PERFORM _arriving();
                INSERT INTO %2$I SELECT * FROM jsonb_populate_recordset(NULL::%2$I, rows::jsonb) ON CONFLICT DO NOTHING;
            END $$
        $create$, 'arrive_' || arriving, arriving);
    END LOOP;
END $do$;

CREATE FUNCTION arrive_finished(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO finished SELECT * FROM jsonb_populate_recordset(NULL::finished, rows::jsonb)
    ON CONFLICT ON CONSTRAINT finished_pkey DO UPDATE SET at = excluded.at;
END $$;
