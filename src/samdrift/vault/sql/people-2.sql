-- What is sealed of a person is bound to the id too, so that a name that is known already keeps its id and its seal.
CREATE OR REPLACE FUNCTION know_person(id text, mark bytea, sealed bytea, at timestamptz) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO persons AS p VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT persons_mark_key
    DO UPDATE SET sealed = CASE WHEN excluded.seen_at IS NULL OR p.id <> excluded.id THEN p.sealed
                                ELSE excluded.sealed END,
                  seen_at = coalesce(excluded.seen_at, p.seen_at)
    RETURNING p.id
$$;

-- Sessions are bound to their person from now on; those that began before have to begin again.
DELETE FROM sessions;
