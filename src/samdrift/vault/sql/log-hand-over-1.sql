-- Position up to which a log was handed over to its organisation's own log system (vault/logtree.py).

CREATE TABLE log_handed_over (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint  NOT NULL DEFAULT 0,  -- of the last entry that the log system has accepted
    at       timestamptz
) WITH (fillfactor = 50);
INSERT INTO log_handed_over DEFAULT VALUES;

-- Record that entries up to a number were accepted. The position only moves forward, and not past the log's
-- end.
CREATE FUNCTION keep_handed_over(through bigint, moment timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE log_handed_over SET sequence = through, at = moment
    WHERE sequence < through AND through <= (SELECT h.sequence FROM log_head h);
$$;
