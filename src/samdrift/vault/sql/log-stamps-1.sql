-- Time stamps (RFC 3161) on checkpoints of a log, by an authority outside (transparency/timestamps.py).

CREATE TABLE log_stamps (
    origin text        NOT NULL,
    size   bigint      NOT NULL,
    at     timestamptz NOT NULL,  -- the authority's own
    until  timestamptz NOT NULL,  -- when the first of its certificates ends
    stamp  bytea       NOT NULL,  -- the whole response, in DER
    PRIMARY KEY (origin, size),
    FOREIGN KEY (origin, size) REFERENCES log_checkpoints
);

-- Keep a time stamp on a checkpoint; the first stays. Returns whether this is it.
CREATE FUNCTION keep_stamp(named text, entries bigint, stated timestamptz, ends timestamptz, answer bytea)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO log_stamps VALUES (named, entries, stated, ends, answer) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;
