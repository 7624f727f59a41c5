-- People who sign in at an organisation's pages, and their sessions (vault/people.py).
--
-- In the clear: random ids, keyed marks, times. Names, and identifiers at sign-in services, are sealed.

CREATE TABLE persons (
    id      text        PRIMARY KEY,      -- random
    mark    bytea       NOT NULL UNIQUE,  -- of issuer and subject
    sealed  bytea       NOT NULL,         -- issuer, subject, name, claims of the latest sign-in
    seen_at timestamptz                   -- NULL: known, but has not signed in yet
);

-- Sessions are not exported, and do not outlast a time in which the sign-in service's notices could not be
-- processed.
CREATE TABLE sessions (
    mark             bytea       PRIMARY KEY,  -- keyed hash of the cookie's value
    person           text        NOT NULL REFERENCES persons,
    provider_session bytea,                    -- mark of the session's id at the sign-in service
    began            timestamptz NOT NULL,
    used             timestamptz NOT NULL,
    sealed           bytea       NOT NULL
);
CREATE INDEX sessions_person ON sessions (person);
CREATE INDEX sessions_began ON sessions (began);

CREATE TABLE sign_ins (
    mark  bytea       PRIMARY KEY,
    until timestamptz NOT NULL
);
CREATE INDEX sign_ins_until ON sign_ins (until);

-- Return the id of the person with that mark, who may be new. Without a time, the person has not signed in,
-- and an existing row does not change.
CREATE FUNCTION know_person(id text, mark bytea, sealed bytea, at timestamptz) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO persons AS p VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT persons_mark_key
    DO UPDATE SET sealed = CASE WHEN excluded.seen_at IS NULL THEN p.sealed ELSE excluded.sealed END,
                  seen_at = coalesce(excluded.seen_at, p.seen_at)
    RETURNING p.id
$$;

-- Begin a session of a person; return false if that sign-in has already begun one. Long expired rows are
-- deleted.
CREATE FUNCTION begin_session(
    mark bytea, sign_in bytea, sign_in_until timestamptz, person text, provider_session bytea, at timestamptz,
    over timestamptz, sealed bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM sign_ins s WHERE s.mark IN (
        SELECT o.mark FROM sign_ins o WHERE o.until <= at ORDER BY o.until LIMIT 100 FOR UPDATE SKIP LOCKED
    );
    DELETE FROM sessions s WHERE s.mark IN (
        SELECT o.mark FROM sessions o WHERE o.began <= over ORDER BY o.began LIMIT 100 FOR UPDATE SKIP LOCKED
    );
    INSERT INTO sign_ins VALUES (sign_in, sign_in_until) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO sessions VALUES ($1, $4, $5, at, at, $8);
    RETURN true;
END $$;

CREATE FUNCTION touch_session(mark bytea, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH touched AS (
        UPDATE sessions s SET used = greatest(s.used, $2) WHERE s.mark = $1 RETURNING s.person
    )
    UPDATE persons p SET seen_at = greatest(p.seen_at, $2) FROM touched WHERE p.id = touched.person
$$;

-- End a session; return its person, or no row if there is none.
CREATE FUNCTION end_session(mark bytea) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM sessions s WHERE s.mark = $1 RETURNING s.person
$$;

-- End sessions that began by a time: those of a person, of one session at the sign-in service, or where both
-- match.
CREATE FUNCTION end_sessions(person_mark bytea, provider_session bytea, begun_by timestamptz) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM sessions s USING persons p
    WHERE p.id = s.person AND s.began <= $3 /*[notice-logout-ends-nor-session*/AND coalesce($1, $2) IS NOT NULL/*]*/
      AND ($1 IS NULL OR p.mark = $1) AND ($2 IS NULL OR s.provider_session = $2)
    RETURNING s.person
$$;

CREATE FUNCTION end_sessions_of(person text) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM sessions s WHERE s.person = $1 RETURNING s.person
$$;

CREATE FUNCTION end_all_sessions() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH ended AS (DELETE FROM sessions RETURNING 1) SELECT count(*) FROM ended
$$;
