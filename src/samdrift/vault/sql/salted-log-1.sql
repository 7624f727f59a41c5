-- The second form of a log: leaves of a Merkle tree (audit/leaves.py, decision record 0025).
--
-- The owner makes number, retention class, salt and commitment, as it made the hashes of the chain before; a
-- writer supplies only the facts. A leaf of the tree is short: the facts and their salt are in the same row,
-- and can be disposed of there (both NULL) without a change to the tree.
--
-- An entry of the first form does not change. One of the second has a retention class, an empty `previous`,
-- and in `hash` SHA-256 over its salt and content.

LOCK TABLE log_head, log IN ACCESS EXCLUSIVE MODE;

ALTER TABLE log_head ADD COLUMN first bigint NOT NULL DEFAULT 1;  -- the number of the tree's first leaf
ALTER TABLE log ADD COLUMN retention smallint, ADD COLUMN salt bytea;
ALTER TABLE log ALTER COLUMN content DROP NOT NULL;

-- Return 16 random bytes. A UUID of version 4 has 122 bits from the server's cryptographic generator, the
-- only source that every cluster has: two of them are hashed together, so that none of the 128 bits is known.
CREATE FUNCTION _salt() RETURNS bytea
LANGUAGE sql VOLATILE AS $$
    SELECT substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) FOR 16)
$$;

-- Return the event of an entry, which has a fixed position in the canonical form.
CREATE FUNCTION _event(content bytea) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT split_part(encode(substring(content FROM 51 FOR 80), 'escape'), '"', 1)
$$;

-- Return the retention class (audit/events.py) of an event. An unknown name is kept as long as people's
-- decisions. This is not a query, so that the server inlines it into the calling statement.
CREATE FUNCTION _retention(event text) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE
        WHEN event LIKE 'log:%' THEN 0
        WHEN event = 'mt:message:read' THEN 2
        WHEN event LIKE 'mt:message:%' OR event LIKE 'mt:receipt:%' OR event LIKE 'ap:transfer:%'
            OR event LIKE 'ap:envelope:%' OR event LIKE 'mt:malware:%' OR event LIKE 'mt:sender:%' THEN 1
        WHEN event LIKE 'vault:opening:%' OR event LIKE 'mt:token:%' OR event LIKE 'mt:client:%' THEN 3
        ELSE 4
    END)::smallint
$$;

-- Unchanged for callers, which may be processes of an earlier version.
CREATE OR REPLACE FUNCTION append_log(contents bytea[], traces bigint[], ends int[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
    salt   bytea;
    event  text;
    begun  int := 0;
BEGIN
    UPDATE log_head SET sequence = sequence + cardinality(contents)
    RETURNING sequence - cardinality(contents) INTO number;
    FOR i IN 1 .. cardinality(contents) LOOP
        salt := /*[salt-leaf-random-every-byte*/substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) FOR 16/*]*/);
        event := _event(contents[i]);
        INSERT INTO log (sequence, content, previous, hash, traces, retention, salt)
        VALUES (number + i, contents[i], '', sha256(salt || contents[i]), traces[begun + 1 : ends[i]],
                /*[class-entry-database*/_retention(event)/*]*/, salt);
        begun := ends[i];
    END LOOP;
END $$;

-- A call of the former append_log that waited for the head during this migration continues with its old code,
-- and adds one more entry to the chain: this trigger gives it the second form.
CREATE FUNCTION _salted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.previous := '';
    NEW.retention := _retention(_event(NEW.content));
    NEW.salt := _salt();
    NEW.hash := sha256(NEW.salt || NEW.content);
    RETURN NEW;
END $$;
CREATE TRIGGER salted BEFORE INSERT ON log FOR EACH ROW WHEN (/*[append-waited-for-writes-leaf*/NEW.retention IS NULL/*]*/) EXECUTE FUNCTION _salted();

-- Begin the tree: its first leaf names the head of the chain before it, which is the origin of a new log.
CREATE FUNCTION _begin_tree() RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    head log_head%ROWTYPE;
BEGIN
    SELECT * INTO head FROM log_head FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;  -- a log that is being created
    END IF;
    UPDATE log_head SET first = sequence + 1;
    PERFORM append_log(
        ARRAY[convert_to(format(
            '{"at":"%s","event":"log:tree:begun","ids":{"entries":"%s","head":"%s"},"principal":"platform","purpose":""}',
            to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
            head.sequence, encode(head.hash, 'hex')
        ), 'UTF8')],
        ARRAY[]::bigint[], ARRAY[0]
    );
END $$;
SELECT _begin_tree();
