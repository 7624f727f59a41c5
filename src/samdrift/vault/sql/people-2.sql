-- A person's sealed data is bound to the id too, so a person who is known already keeps both.
CREATE OR REPLACE FUNCTION know_person(id text, mark bytea, sealed bytea, at timestamptz) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO persons AS p VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT persons_mark_key
    DO UPDATE SET sealed = CASE WHEN excluded.seen_at IS NULL OR p.id <> excluded.id THEN p.sealed
                                ELSE excluded.sealed END,
                  seen_at = coalesce(excluded.seen_at, p.seen_at)
    RETURNING p.id
$$;

-- Sessions are bound to their person from now on; earlier ones end, and people sign in again.
DELETE FROM sessions;
