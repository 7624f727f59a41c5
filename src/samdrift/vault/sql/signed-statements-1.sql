-- The organisation's signed statements, numbered from 1 without gaps, each sealed for its number
-- (vault/signedstatements.py). In governance they are the record; in other roles they are a copy of it, which
-- each role verifies for itself.

CREATE TABLE signed_statements (
    number int   PRIMARY KEY,
    sealed bytea NOT NULL
);

-- Store a statement; return false if another one has the number, or one before it is missing. Listeners are
-- notified, since something may have ended.
CREATE FUNCTION append_signed_statement(number int, sealed bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    /*[number-taken-once-leaves-gap*/IF $1 <> (SELECT coalesce(max(s.number), 0) + 1 FROM signed_statements s) THEN
        RETURN false;
    END IF;/*]*/
    INSERT INTO signed_statements VALUES ($1, $2) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM _wake();
    RETURN true;
END $$;
