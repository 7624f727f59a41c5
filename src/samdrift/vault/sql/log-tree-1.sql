-- The signed tree of a log (vault/logtree.py, decision record 0041): its name, its right edge, and statements
-- about it.
--
-- Checkpoints are made only from committed entries, whose numbers are in the order of commit, so that each
-- size has one root. Stored checkpoints do not change: the database refuses one of the same size with another
-- root.

CREATE TABLE log_tree (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    origin     text    NOT NULL,  -- the log's name in checkpoints; random, reveals nothing
    edge       bytea   NOT NULL,  -- audit/merkle.py, Frontier
    checked_at timestamptz        -- when the log was last compared with its checkpoint
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
    announcement bytea,                   -- by the previous key, about this one
    statement    bytea                    -- by its organisation, or for it, about this one
);

CREATE TABLE log_checkpoints (
    origin    text        NOT NULL,
    size      bigint      NOT NULL,
    root      bytea       NOT NULL,
    note      bytea       NOT NULL,  -- signed by the log
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (origin, size)
);

-- The first and the latest cosignature of each witness on each checkpoint: the log did not grow between them.
CREATE TABLE log_cosignatures (
    origin   text   NOT NULL,
    size     bigint NOT NULL,
    witness  text   NOT NULL,
    first_at bigint NOT NULL,  -- POSIX seconds, by the witness's clock
    first    bytea  NOT NULL,
    last_at  bigint NOT NULL,
    last     bytea  NOT NULL,
    PRIMARY KEY (origin, size, witness),
    FOREIGN KEY (origin, size) REFERENCES log_checkpoints
) WITH (fillfactor = 50);

-- Each witness's last answer: the age of its cosignature is shown even if the log has grown since.
CREATE TABLE log_witnesses (
    witness     text        PRIMARY KEY,
    origin      text        NOT NULL,
    size        bigint      NOT NULL DEFAULT 0,  -- of the last checkpoint that it cosigned
    cosigned_at bigint,
    asked_at    timestamptz NOT NULL,
    fault       text        NOT NULL DEFAULT ''
) WITH (fillfactor = 50);

-- Refusals, which stop the signing until people have decided.
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

-- Return a random name, which reveals nothing about the vault.
CREATE FUNCTION _log_name() RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT 'samdrift.log/' || encode(_salt(), 'hex')
$$;
INSERT INTO log_tree (origin, edge) VALUES (_log_name(), '\x0000000000000000');

-- Store a signed checkpoint, with its edge and the subtrees that have been completed since the last one.
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
    IF /*[checkpoint-under-log-own-name*/tree.origin <> named OR/*]*/ /*[database-keeps-checkpoint-after-refusal*/EXISTS (SELECT FROM log_refusals WHERE resolved_at IS NULL)/*]*/ THEN
        RAISE EXCEPTION 'no checkpoint may be signed now' USING ERRCODE = 'SD409';
    END IF;
    IF /*[checkpoint-entries*/entries > (SELECT sequence - first + 1 FROM log_head) OR/*]*/ /*[checkpoint-smaller-than-last-one*/entries < known.size/*]*/
        /*[one-size-has-one-root*/OR (entries = known.size AND hashed <> known.root)/*]*/ THEN
        RAISE EXCEPTION 'this is not the next checkpoint of the log' USING ERRCODE = 'SD409';
    END IF;
    INSERT INTO log_checkpoints VALUES (named, entries, hashed, signed, at) ON CONFLICT DO NOTHING;
    INSERT INTO log_nodes SELECT * FROM unnest(levels, places, hashes) ON CONFLICT DO NOTHING;
    UPDATE log_tree SET edge = frontier, checked_at = at;
END $$;

-- Store a witness's answer about a checkpoint: a cosignature, or a fault in words.
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

-- Record that the log was compared with its last checkpoint and has not grown.
CREATE FUNCTION keep_silence(at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE log_tree SET checked_at = at;
$$;

CREATE FUNCTION keep_log_key(named text, announced bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO log_keys (key, announcement) VALUES (named, announced) ON CONFLICT DO NOTHING;
$$;

-- Store the first statement about a key; later ones are ignored.
CREATE FUNCTION keep_log_statement(named text, stated bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE log_keys SET statement = stated WHERE key = named AND statement IS NULL;
$$;

-- Store a refusal, after which nothing is signed; of several open ones, only the first.
CREATE FUNCTION keep_refusal(named text, whose text, why text, entries bigint, saw bigint, moment timestamptz)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM log_tree FOR UPDATE;
    INSERT INTO log_refusals (origin, witness, reason, size, seen, at)
    VALUES (named, whose, why, entries, saw, moment) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- End a refusal by a decision: the log continues under another name than the one that the witness knows.
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
