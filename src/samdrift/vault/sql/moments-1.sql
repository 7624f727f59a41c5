-- When something in a vault becomes due, so that nobody has to open a vault in order to know that nothing is.
--
-- The vault's own code keeps its moment, in the transaction that changes what is due (accesspoint-moments-1.sql,
-- messageservice-moments-1.sql), as the owner of the vault's schema, which nobody logs in as. A vault's login has no
-- right here, and an owner sees and changes its own row alone.

CREATE TABLE moments (
    owner  name        PRIMARY KEY,       -- of the vault's schema
    vault  text        NOT NULL UNIQUE REFERENCES registrations (vault) ON DELETE CASCADE,
    due_at timestamptz                    -- NULL: nothing waits
) WITH (fillfactor = 50);
ALTER TABLE moments ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON moments USING (owner = current_user);

-- Give a vault its row when it is registered: nothing is due in it yet.
CREATE FUNCTION _begin_moment() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registry.moments
    SELECT nspowner::regrole::text, NEW.vault, NULL FROM pg_catalog.pg_namespace WHERE nspname = NEW.schema;
    RETURN NULL;
END $$;
CREATE TRIGGER begin_moment AFTER INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION _begin_moment();

-- What is there already may be due: the vault's own migration knows better.
INSERT INTO moments
SELECT nspowner::regrole::text, vault, '1970-01-01 UTC' FROM registrations JOIN pg_catalog.pg_namespace ON nspname = schema;

-- Vaults in which something becomes due until then, for the registry's login.
CREATE FUNCTION due_moments(until timestamptz) RETURNS TABLE (vault text, due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT m.vault, m.due_at FROM moments m WHERE m.due_at <= $1
$$;
