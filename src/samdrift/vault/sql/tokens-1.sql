-- Assertions that message clients have used to get access tokens, while they are valid (vault/messageservice.py).

CREATE TABLE used_assertions (
    mark  bytea       PRIMARY KEY,        -- of client and jti
    until timestamptz NOT NULL
);
CREATE INDEX used_assertions_until ON used_assertions (until);

-- Use an assertion; return false if it was used before. A concurrent use of the same one waits for the first.
CREATE FUNCTION use_assertion(mark bytea, until timestamptz, now timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM used_assertions u WHERE u.mark IN (
        SELECT o.mark FROM used_assertions o WHERE o.until <= $3 ORDER BY o.until LIMIT 100 FOR UPDATE SKIP LOCKED
    );
    INSERT INTO used_assertions VALUES ($1, $2) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;
