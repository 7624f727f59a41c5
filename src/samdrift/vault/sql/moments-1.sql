-- When something in a vault becomes due, so that a vault in which nothing is due need not be opened.
--
-- The vault's own code updated its moment here, in the transaction that changed what was due, as the owner of
-- the vault's schema, which cannot log in; moments-2.sql replaces this. A vault's login has no right here,
-- and an owner sees and changes only its own row.

CREATE TABLE moments (
    owner  name        PRIMARY KEY,       -- of the vault's schema
    vault  text        NOT NULL UNIQUE REFERENCES registrations (vault) ON DELETE CASCADE,
    due_at timestamptz                    -- NULL: nothing waits
) WITH (fillfactor = 50);
ALTER TABLE moments ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON moments USING (owner = current_user);

-- Create the row of a vault when it is registered: nothing is due in it yet.
CREATE FUNCTION _begin_moment() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registry.moments
    SELECT nspowner::regrole::text, NEW.vault, NULL FROM pg_catalog.pg_namespace WHERE nspname = NEW.schema;
    RETURN NULL;
END $$;
CREATE TRIGGER begin_moment AFTER INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION _begin_moment();

-- Something may be due in existing vaults: each vault's own migration sets the moment.
INSERT INTO moments
SELECT nspowner::regrole::text, vault, '1970-01-01 UTC' FROM registrations JOIN pg_catalog.pg_namespace ON nspname = schema;

-- Vaults in which something becomes due by a time, for the registry's login.
CREATE FUNCTION due_moments(until timestamptz) RETURNS TABLE (vault text, due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT m.vault, m.due_at FROM moments m WHERE m.due_at <= $1
$$;
