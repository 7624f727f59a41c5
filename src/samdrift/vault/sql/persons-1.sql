-- People for whom the organisation's systems fetch messages, as the access tokens of its own authorisation
-- server name them (messageservice/oauth/persons.py). In the clear: random ids, by which the log names them,
-- keyed marks, times.
CREATE TABLE persons (
    id      text        PRIMARY KEY,      -- random
    mark    bytea       NOT NULL UNIQUE,  -- of issuer and subject
    sealed  bytea       NOT NULL,         -- issuer, subject, name
    seen_at timestamptz
);

-- Return the id of the person with that mark, who may be new.
CREATE FUNCTION know_person(id text, mark bytea, sealed bytea, at timestamptz) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO persons AS p VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT persons_mark_key DO UPDATE
    SET sealed = CASE WHEN p.id = excluded.id THEN excluded.sealed ELSE p.sealed END, seen_at = excluded.seen_at
    RETURNING p.id
$$;

CREATE FUNCTION arrive_persons(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO persons SELECT * FROM jsonb_populate_recordset(NULL::persons, rows::jsonb) ON CONFLICT DO NOTHING;
END $$;
