-- One session key opens one envelope (vault/sessionkeys.py).

-- Session keys that have been unwrapped, and the envelope that each one opens. Never deleted while the vault
-- exists: a destroyed private key may return from a backup of keys, and captured envelopes would open again.
CREATE TABLE session_keys (
    mark     text        PRIMARY KEY,     -- keyed mark of the unwrapped key, in hexadecimal digits
    envelope bytea       NOT NULL,        -- SHA-256 of the whole signed envelope; empty: no session key
    at       timestamptz NOT NULL
);
CREATE INDEX session_keys_at ON session_keys (at);

-- Keys of marks that were imported from former suppliers: session keys are looked up under these too.
CREATE TABLE mark_keys (
    name   text  PRIMARY KEY,             -- a digest of the key
    sealed bytea NOT NULL
);

-- Marks that were lost because the database was restored from a backup.
CREATE TABLE lost_marks (
    since       timestamptz,              -- of the last mark that is left; NULL: none is left
    until       timestamptz NOT NULL,     -- of the last mark that is known to have existed
    found_at    timestamptz NOT NULL,
    restored    boolean     NOT NULL,     -- false: envelopes were received before marks were kept
    keys        bytea[]     NOT NULL,     -- SHA-256 of the public keys that were in use
    accepted_at timestamptz,              -- when two people accepted the risk
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);

-- Envelopes of each sender that were meaningless after decryption, within the current window.
CREATE TABLE refusals (
    sender   text        PRIMARY KEY,
    first_at timestamptz NOT NULL,
    number   int         NOT NULL
);

CREATE FUNCTION _witnessed(witness text) RETURNS boolean
LANGUAGE sql AS $$
    SELECT CASE WHEN witness IS NULL THEN NOT EXISTS (SELECT FROM session_keys WHERE envelope <> '')
                                      AND NOT EXISTS (SELECT FROM processed)
                ELSE /*[database-came-back-backup-known*/EXISTS (SELECT FROM session_keys s WHERE s.mark = witness)/*]*/ END
$$;

-- Mark a session key as used for an envelope; the first of `marks` is stored. `outcome` is 'taken', 'used' if
-- the key belongs to another envelope, 'limited' if too many of the sender's envelopes since `since` were
-- meaningless, 'brought' if it must be marked under `keys` too, 'unwitnessed' if marks are missing. `kept` is
-- true if the first mark is stored, `doubted` if marks were lost for the key that unwrapped it.
CREATE FUNCTION take_session_key(
    marks text[], envelope bytea, at timestamptz, created timestamptz, recipient bytea,
    sender text, since timestamptz, most int, witness text,
    OUT outcome text, OUT kept boolean, OUT doubted boolean, OUT names text[], OUT keys bytea[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    doubted := false;
    kept := false;
    PERFORM FROM refusals r WHERE r.sender = sender AND r.first_at > since AND r.number >= most;
    IF FOUND THEN
        outcome := 'limited';
        RETURN;
    END IF;
    IF NOT _witnessed(witness) THEN
        outcome := 'unwitnessed';
        RETURN;
    END IF;
    SELECT array_agg(k.name ORDER BY k.name), array_agg(k.sealed ORDER BY k.name) INTO names, keys FROM mark_keys k;
    IF coalesce(cardinality(keys), 0) >= cardinality(marks) THEN
        outcome := 'brought';
        RETURN;
    END IF;
    INSERT INTO session_keys SELECT marks[1], envelope, at
    WHERE NOT EXISTS (SELECT FROM session_keys s WHERE s.mark = ANY (marks[2:])) ON CONFLICT DO NOTHING;
    kept := EXISTS (SELECT FROM session_keys s WHERE s.mark = marks[1]);
    PERFORM FROM session_keys s WHERE s.mark = ANY (marks) AND s.envelope <> envelope;
    outcome := CASE WHEN FOUND THEN 'used' ELSE 'taken' END;
    SELECT count(*) > 0, CASE WHEN bool_or(l.restored AND created < l.found_at) THEN 'used' ELSE outcome END
    INTO doubted, outcome
    FROM lost_marks l WHERE l.accepted_at IS NULL AND recipient = ANY (l.keys);
END $$;

-- Check that the mark that was stored last exists, and record what is lost if it does not. `fresh` is a mark
-- without a session key, which is the last one from then on; if none is missing, nothing is done and `begun`
-- is false.
CREATE FUNCTION look_after_marks(
    witness text, witnessed_at timestamptz, recipients bytea[], fresh text, at timestamptz,
    OUT begun boolean, OUT lost boolean, OUT since timestamptz, OUT until timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    restored boolean;
BEGIN
    lost := NOT _witnessed(witness);
    begun := lost OR witness IS NULL;
    IF lost THEN
        SELECT max(s.at) INTO since FROM session_keys s;
        restored := witness IS NOT NULL OR since IS NOT NULL;
        until := coalesce(witnessed_at, at);
        INSERT INTO lost_marks (since, until, found_at, restored, keys)
        VALUES (since, until, at, restored, recipients);
    END IF;
    IF begun THEN
        INSERT INTO session_keys VALUES (fresh, '', at);
    END IF;
END $$;

-- Record that two people accept the loss of marks; return how many losses there were.
CREATE FUNCTION accept_lost_marks(at timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH accepted AS (UPDATE lost_marks SET accepted_at = $1 WHERE accepted_at IS NULL RETURNING number)
    SELECT count(*) FROM accepted
$$;

-- Count an envelope that was meaningless after decryption; return the sender's number since `since`.
CREATE FUNCTION count_refusal(sender text, at timestamptz, since timestamptz) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO refusals AS r VALUES ($1, $2, 1)
    ON CONFLICT ON CONSTRAINT refusals_pkey DO UPDATE SET
        first_at = CASE WHEN r.first_at > $3 THEN r.first_at ELSE $2 END,
        number = CASE WHEN r.first_at > $3 THEN r.number + 1 ELSE 1 END
    RETURNING number
$$;
