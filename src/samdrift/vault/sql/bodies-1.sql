-- Bodies of envelopes and messages, encrypted (vault/bodies.py). Large ones are in the object store.

CREATE TABLE bodies (
    id     text   PRIMARY KEY,
    size   bigint NOT NULL,               -- bytes of plaintext
    sha256 bytea  NOT NULL,               -- of the plaintext
    sealed bytea                          -- NULL: in the object store, under this id
);
ALTER TABLE bodies ALTER COLUMN sealed SET STORAGE EXTERNAL;  -- ciphertext does not compress

-- Delete a body; return its id if there is an object to be removed once this is committed.
CREATE FUNCTION _drop_body(body text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    remote text;
BEGIN
    DELETE FROM bodies WHERE id = body RETURNING CASE WHEN sealed IS NULL THEN id END INTO remote;
    RETURN remote;
END $$;
