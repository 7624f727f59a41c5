-- Import of an organisation's data into its vault in the message client (vault/portability/arrival.py).

CREATE OR REPLACE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM records) AND NOT EXISTS (SELECT FROM mailboxes)
       AND NOT EXISTS (SELECT FROM addresses) AND NOT EXISTS (SELECT FROM favourites)
$$;

DO $do$
DECLARE
    arriving text;
BEGIN
    FOREACH arriving IN ARRAY ARRAY[
        'mailboxes', 'conversations', 'messages', 'files', 'notes', 'drafts', 'readings', 'addresses', 'favourites'
    ] LOOP
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

-- End the import. Unless they were taken over, messages to be sent are not sent here: the former supplier
-- continues with them.
CREATE OR REPLACE FUNCTION end_arrival(at timestamptz, taken_over boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    IF NOT taken_over THEN
        UPDATE messages m SET stage = 'not-sent', since = end_arrival.at, due_at = NULL WHERE m.stage IN ('window', 'outbox');
        UPDATE messages m SET due_at = NULL WHERE m.due_at IS NOT NULL;
        UPDATE drafts d SET stage = 'sent', until = NULL WHERE d.stage = 'window';
    END IF;
    UPDATE arrivals SET done_at = end_arrival.at;
END $$;
