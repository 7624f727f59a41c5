-- Time stamps (RFC 3161) on checkpoints of a log, by an external authority (transparency/timestamps.py).

CREATE TABLE log_stamps (
    origin text        NOT NULL,
    size   bigint      NOT NULL,
    at     timestamptz NOT NULL,  -- as stated by the authority
    until  timestamptz NOT NULL,  -- when the first of its certificates expires
    stamp  bytea       NOT NULL,  -- the whole response, in DER
    PRIMARY KEY (origin, size),
    FOREIGN KEY (origin, size) REFERENCES log_checkpoints
);

-- Store a time stamp on a checkpoint, unless there is one. Returns whether it was stored.
CREATE FUNCTION keep_stamp(named text, entries bigint, stated timestamptz, ends timestamptz, answer bytea)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO log_stamps VALUES (named, entries, stated, ends, answer) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;
