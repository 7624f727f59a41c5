-- The organisation's statements about rights, numbered from 1 without gaps, each sealed (vault/people.py).

CREATE TABLE statements (
    number int   PRIMARY KEY,
    sealed bytea NOT NULL
);

-- Store a statement; return false if another one has the number, or one before it is missing.
CREATE FUNCTION append_statement(number int, sealed bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF $1 <> (SELECT coalesce(max(s.number), 0) + 1 FROM statements s) THEN
        RETURN false;
    END IF;
    INSERT INTO statements VALUES ($1, $2) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;
