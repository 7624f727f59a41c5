-- The last use of a session is bound to it by a keyed mark (vault/mailbonds.py), so that write access to the
-- database is not enough to prolong a session. Earlier sessions end, and people sign in again.
DELETE FROM sessions;
ALTER TABLE sessions ADD COLUMN used_bound bytea;

DROP FUNCTION begin_session(bytea, bytea, timestamptz, text, bytea, timestamptz, timestamptz, bytea);
CREATE FUNCTION begin_session(
    mark bytea, sign_in bytea, sign_in_until timestamptz, person text, provider_session bytea, at timestamptz,
    over timestamptz, sealed bytea, used_bound bytea
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
    /*[one-sign-begins-session-vault*/IF NOT FOUND THEN
        RETURN false;
    END IF;/*]*/
    INSERT INTO sessions VALUES ($1, $4, $5, at, at, $8, $9);
    RETURN true;
END $$;

DROP FUNCTION touch_session(bytea, timestamptz);
CREATE FUNCTION touch_session(mark bytea, at timestamptz, used_bound bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH touched AS (
        UPDATE sessions s SET used = greatest(s.used, $2),
                              used_bound = CASE WHEN s.used < $2 THEN $3 ELSE s.used_bound END
        WHERE s.mark = $1 RETURNING s.person
    )
    UPDATE persons p SET seen_at = greatest(p.seen_at, $2) FROM touched WHERE p.id = touched.person
$$;
