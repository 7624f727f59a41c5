-- Public records that are kept here and have not been handed over (vault/recordkeeping.py), in vaults of
-- message client and governance. A row is deleted when its record is handed over, or disposed of by a
-- decision.

CREATE TABLE records (
    id    text        PRIMARY KEY,        -- random: reveals nothing
    since timestamptz NOT NULL
);

CREATE FUNCTION keep_record(id text, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO records VALUES ($1, $2) ON CONFLICT DO NOTHING
$$;

-- Release a record; return whether it was there.
CREATE FUNCTION release_record(id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM records r WHERE r.id = $1;
    RETURN FOUND;
END $$;
