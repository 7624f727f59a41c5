-- The log of a vault, and of the registry: a chain of entries that only grows.
--
-- Run as the owner of the schema, which is the only one on the search path. The vault's login may read
-- everything here and change nothing: its only other right is to run these functions, which run as the owner.
-- Functions whose names begin with an underscore are internal.

CREATE TABLE log_head (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint  NOT NULL,
    hash     bytea   NOT NULL,
    news     bigint  NOT NULL DEFAULT 0,  -- number of the last event of a transfer
    channel  text    NOT NULL             -- for _wake(); random, reveals no organisation
);

CREATE TABLE log (
    sequence bigint   PRIMARY KEY,
    content  bytea    NOT NULL,           -- canonical JSON, audit/entries.py
    previous bytea    NOT NULL,
    hash     bytea    NOT NULL,           -- audit/chain.py
    traces   bigint[] NOT NULL            -- vault/logbook.py
);
CREATE INDEX log_traces ON log USING gin (traces) WITH (gin_pending_list_limit = 256);

-- Append entries. `ends` holds, for each entry, how many of `traces` belong to it and those before it.
-- The head stays locked until the transaction ends: entries are numbered in the order of commit.
CREATE FUNCTION append_log(contents bytea[], traces bigint[], ends int[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    number   bigint;
    previous bytea;
    next     bytea;
    begun    int := 0;
BEGIN
    SELECT head.sequence, head.hash INTO number, previous FROM log_head head FOR UPDATE;
    FOR i IN 1 .. cardinality(contents) LOOP
        number := number + 1;
        next := sha256(previous || int8send(number) || contents[i]);
        INSERT INTO log VALUES (number, contents[i], previous, next, traces[begun + 1 : ends[i]]);
        previous := next;
        begun := ends[i];
    END LOOP;
    UPDATE log_head SET sequence = number, hash = previous;
END $$;

-- Notify listeners that there is work here, and of nothing else.
CREATE FUNCTION _wake() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(channel, '') FROM log_head;
END $$;
