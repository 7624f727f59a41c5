-- Disposal of facts (audit/logverifying.py): those of a class, from its oldest entry up to a number, by a
-- decision that is itself an entry, in the same transaction. The tree does not change.

-- Dispose of the facts of a class that are older than a time, which is at least a year ago. Returns the
-- number of the last entry that the decision is about, and how many facts were removed; if there are none, it
-- returns nothing and makes no entry.
CREATE FUNCTION dispose_log(class int, named text, before timestamptz, why text, one text, other text)
RETURNS TABLE (upto bigint, gone bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    spelled text := to_char(before AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"');
BEGIN
    PERFORM FROM log_head FOR UPDATE;
    IF /*[about-log-kept*/class NOT BETWEEN 1 AND 4 OR/*]*/ /*[last-year-kept*/before > clock_timestamp() - interval '12 months'/*]*/ THEN
        RAISE EXCEPTION 'these entries are kept' USING ERRCODE = 'SD409';
    END IF;
    SELECT coalesce(min(l.sequence) - 1, (SELECT h.sequence FROM log_head h)) INTO upto FROM log l
    WHERE l.retention = class AND l.content IS NOT NULL
        AND convert_from(substring(l.content FROM 8 FOR 32), 'UTF8') >= spelled;
    UPDATE log SET content = NULL, salt = NULL, traces = '{}'
    WHERE retention = class AND /*[only-facts-from-moment-go*/sequence <= upto AND/*]*/ content IS NOT NULL;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone = 0 THEN
        RETURN;
    END IF;
    PERFORM append_log(
        ARRAY[convert_to(format(
            '{"at":"%s","event":"log:facts:disposed","ids":{"by":%s,"class":"%s","decision":%s,"entries":"%s",'
            '"through":"%s","with":%s},"principal":"platform","purpose":""}',
            to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
            to_json(one), named, to_json(why), gone, upto, to_json(other)
        ), 'UTF8')],
        ARRAY[]::bigint[], ARRAY[0]
    );
    RETURN NEXT;
END $$;
