-- One session key opens one envelope (vault/sessionkeys.py).

-- Session keys that have been unwrapped, and the envelope that each one opens. Never removed while the vault
-- is there: a private key that was destroyed may come back from a backup of keys, and captured envelopes open again.
CREATE TABLE session_keys (
    mark     text        PRIMARY KEY,     -- keyed, of the unwrapped key, in hexadecimal digits
    envelope bytea       NOT NULL,        -- SHA-256 of the whole signed envelope; empty for a mark of no session key
    at       timestamptz NOT NULL
);
CREATE INDEX session_keys_at ON session_keys (at);

-- Keys of marks that the organisation brought from former suppliers: session keys are looked for under these too.
CREATE TABLE mark_keys (
    name   text  PRIMARY KEY,             -- a digest of the key
    sealed bytea NOT NULL
);

-- Marks that were lost with a database that came back from a backup.
CREATE TABLE lost_marks (
    since       timestamptz,              -- of the last mark that is left; NULL: none is
    until       timestamptz NOT NULL,     -- of the last mark that was there, as far as is known
    found_at    timestamptz NOT NULL,
    restored    boolean     NOT NULL,     -- false: envelopes came in before marks were kept, and nothing was restored
    keys        bytea[]     NOT NULL,     -- SHA-256 of the public keys that were used then
    accepted_at timestamptz,              -- two persons have accepted the risk
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);

-- Envelopes of each sender that meant nothing when decrypted, within the current window.
CREATE TABLE refusals (
    sender   text        PRIMARY KEY,
    first_at timestamptz NOT NULL,
    number   int         NOT NULL
);

CREATE FUNCTION _witnessed(witness text) RETURNS boolean
LANGUAGE sql AS $$
    SELECT CASE WHEN witness IS NULL THEN NOT EXISTS (SELECT FROM session_keys WHERE envelope <> '')
                                      AND NOT EXISTS (SELECT FROM processed)
                ELSE EXISTS (SELECT FROM session_keys s WHERE s.mark = witness) END
$$;

-- Take a session key for an envelope. The first of `marks` is kept. `outcome` is 'taken', 'used' when it belongs to
-- another envelope, 'limited' when too many of the sender's meant nothing since `since`, 'brought' when it has to be
-- marked under `keys` too, 'unwitnessed' when marks are missing; `kept` when the first mark is there, `doubted` when some are for the key that unwrapped it.
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

-- Look whether the mark that was kept last is there, and note what is lost if it is not. `fresh` is a mark of no
-- session key, to be the last one from then on; nothing is done, and `begun` is false, when none is missing.
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

-- Two persons accept that marks are lost; gives how many such losses there were.
CREATE FUNCTION accept_lost_marks(at timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH accepted AS (UPDATE lost_marks SET accepted_at = $1 WHERE accepted_at IS NULL RETURNING number)
    SELECT count(*) FROM accepted
$$;

-- Count an envelope that meant nothing when decrypted; gives the sender's number since `since`.
CREATE FUNCTION count_refusal(sender text, at timestamptz, since timestamptz) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO refusals AS r VALUES ($1, $2, 1)
    ON CONFLICT ON CONSTRAINT refusals_pkey DO UPDATE SET
        first_at = CASE WHEN r.first_at > $3 THEN r.first_at ELSE $2 END,
        number = CASE WHEN r.first_at > $3 THEN r.number + 1 ELSE 1 END
    RETURNING number
$$;
