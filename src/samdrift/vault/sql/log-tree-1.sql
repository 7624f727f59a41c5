-- The signed tree of a log (vault/logtree.py, decision record 0041): its name, its right edge, and what was stated of it.
--
-- Checkpoints are made from committed entries alone, whose numbers are in the order of commit, so that one size has one
-- root. What is kept here is never changed: a checkpoint of the same size with another root is refused by the database.

CREATE TABLE log_tree (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    origin     text    NOT NULL,  -- the log's name in checkpoints; random, so that no witness learns whose it is
    edge       bytea   NOT NULL,  -- audit/merkle.py, Frontier
    checked_at timestamptz        -- when the log was last compared with its checkpoint, and nothing was new
) WITH (fillfactor = 50);

-- Hashes of complete subtrees of 256, 256², … entries (tlog-tiles), so that no proof reads the whole log.
CREATE TABLE log_nodes (
    level smallint NOT NULL,
    place bigint   NOT NULL,
    hash  bytea    NOT NULL,
    PRIMARY KEY (level, place)
);

CREATE TABLE log_keys (
    key          text   PRIMARY KEY,  -- name+hash+key (signed-note)
    number       bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    announcement bytea,                   -- the key before it, on this one
    statement    bytea                    -- its organisation, or whoever speaks for it, on this one
);

CREATE TABLE log_checkpoints (
    origin    text        NOT NULL,
    size      bigint      NOT NULL,
    root      bytea       NOT NULL,
    note      bytea       NOT NULL,  -- signed by the log
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (origin, size)
);

-- The first and the latest cosignature of a witness to each checkpoint: between them nothing was added.
CREATE TABLE log_cosignatures (
    origin   text   NOT NULL,
    size     bigint NOT NULL,
    witness  text   NOT NULL,
    first_at bigint NOT NULL,  -- seconds of POSIX, the witness's own
    first    bytea  NOT NULL,
    last_at  bigint NOT NULL,
    last     bytea  NOT NULL,
    PRIMARY KEY (origin, size, witness),
    FOREIGN KEY (origin, size) REFERENCES log_checkpoints
) WITH (fillfactor = 50);

-- How each witness answered last: the age of its cosignature is shown, also when the log has grown since.
CREATE TABLE log_witnesses (
    witness     text        PRIMARY KEY,
    origin      text        NOT NULL,
    size        bigint      NOT NULL DEFAULT 0,  -- of the last checkpoint that it cosigned
    cosigned_at bigint,
    asked_at    timestamptz NOT NULL,
    fault       text        NOT NULL DEFAULT ''
) WITH (fillfactor = 50);

-- Refusals that end the signing until people have decided.
CREATE TABLE log_refusals (
    origin      text        NOT NULL,
    number      bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    witness     text        NOT NULL,
    reason      text        NOT NULL,
    size        bigint      NOT NULL,  -- of the checkpoint that was refused
    seen        bigint,                -- the size that the witness named
    at          timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE UNIQUE INDEX log_refusals_open ON log_refusals ((true)) WHERE resolved_at IS NULL;

-- A random name; nothing in it is the vault's.
CREATE FUNCTION _log_name() RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT 'samdrift.log/' || encode(_salt(), 'hex')
$$;
INSERT INTO log_tree (origin, edge) VALUES (_log_name(), '\x0000000000000000');

-- Keep a signed checkpoint, with the edge that it is of and the subtrees that are complete since the last one.
CREATE FUNCTION keep_checkpoint(
    named text, entries bigint, hashed bytea, signed bytea, at timestamptz, frontier bytea,
    levels int[], places bigint[], hashes bytea[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    tree  log_tree%ROWTYPE;
    known log_checkpoints%ROWTYPE;
BEGIN
    SELECT * INTO tree FROM log_tree FOR UPDATE;
    SELECT * INTO known FROM log_checkpoints c WHERE c.origin = tree.origin ORDER BY c.size DESC LIMIT 1;
    IF tree.origin <> named OR EXISTS (SELECT FROM log_refusals WHERE resolved_at IS NULL) THEN
        RAISE EXCEPTION 'no checkpoint may be signed now' USING ERRCODE = 'SD409';
    END IF;
    IF entries > (SELECT sequence - first + 1 FROM log_head) OR entries < known.size
        OR (entries = known.size AND hashed <> known.root) THEN
        RAISE EXCEPTION 'this is not the next checkpoint of the log' USING ERRCODE = 'SD409';
    END IF;
    INSERT INTO log_checkpoints VALUES (named, entries, hashed, signed, at) ON CONFLICT DO NOTHING;
    INSERT INTO log_nodes SELECT * FROM unnest(levels, places, hashes) ON CONFLICT DO NOTHING;
    UPDATE log_tree SET edge = frontier, checked_at = at;
END $$;

-- Keep what a witness answered about a checkpoint: a cosignature, or a fault in words.
CREATE FUNCTION keep_answer(
    named text, entries bigint, whose text, at timestamptz, cosigned bigint, line bytea, words text
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO log_cosignatures
    SELECT named, entries, whose, cosigned, line, cosigned, line WHERE line IS NOT NULL
    ON CONFLICT (origin, size, witness) DO UPDATE SET last_at = excluded.last_at, last = excluded.last
        WHERE excluded.last_at >= log_cosignatures.last_at;
    INSERT INTO log_witnesses AS w
    VALUES (whose, named, CASE WHEN line IS NULL THEN 0 ELSE entries END, cosigned, at, words)
    ON CONFLICT (witness) DO UPDATE SET
        origin = excluded.origin,
        size = CASE WHEN line IS NOT NULL THEN excluded.size WHEN w.origin = excluded.origin THEN w.size ELSE 0 END,
        cosigned_at = coalesce(excluded.cosigned_at, w.cosigned_at),
        asked_at = excluded.asked_at,
        fault = excluded.fault;
    UPDATE log_tree SET checked_at = at;
$$;

-- The log was compared with its last checkpoint, and there is nothing new.
CREATE FUNCTION keep_silence(at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE log_tree SET checked_at = at;
$$;

CREATE FUNCTION keep_log_key(named text, announced bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO log_keys (key, announcement) VALUES (named, announced) ON CONFLICT DO NOTHING;
$$;

-- The first statement of a key stays.
CREATE FUNCTION keep_log_statement(named text, stated bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE log_keys SET statement = stated WHERE key = named AND statement IS NULL;
$$;

-- Keep a refusal, after which nothing is signed; of several the first.
CREATE FUNCTION keep_refusal(named text, whose text, why text, entries bigint, saw bigint, moment timestamptz)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM log_tree FOR UPDATE;
    INSERT INTO log_refusals (origin, witness, reason, size, seen, at)
    VALUES (named, whose, why, entries, saw, moment) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- End a refusal by a decision: the log goes on beside the one that the witness knows, under another name.
CREATE FUNCTION resolve_refusal(moment timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    renamed text := _log_name();
BEGIN
    PERFORM FROM log_tree FOR UPDATE;
    UPDATE log_refusals SET resolved_at = moment WHERE resolved_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE log_tree SET origin = renamed;
    RETURN renamed;
END $$;
