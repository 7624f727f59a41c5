-- Conversations that are registered in the organisation's own records, under a number there
-- (vault/maildisposal.py).

CREATE TABLE registrations (
    id     text        PRIMARY KEY REFERENCES conversations,
    person text        NOT NULL,
    at     timestamptz NOT NULL,
    sealed bytea       NOT NULL     -- the number
);

-- Register a conversation whose version is `known`, or without `sealed` undo that. Returns the new version;
-- minus the current one if it is not `known`; NULL if the conversation does not exist.
CREATE FUNCTION keep_registration(conversation text, known int, person text, at timestamptz, sealed bytea) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    found int;
BEGIN
    UPDATE conversations c SET version = c.version + 1 WHERE c.id = $1 AND c.version = $2 RETURNING c.version INTO found;
    IF found IS NULL THEN
        SELECT -c.version INTO found FROM conversations c WHERE c.id = $1;
        RETURN found;
    END IF;
    DELETE FROM registrations r WHERE r.id = $1;
    IF $5 IS NOT NULL THEN
        INSERT INTO registrations VALUES ($1, $3, $4, $5);
    END IF;
    RETURN found;
END $$;
