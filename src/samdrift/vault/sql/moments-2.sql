-- The moment of a vault is stored in the vault itself (moment-1.sql), and sent here after its commit by the
-- process that committed, since no transaction spans the registry and a vault. Each has a number, and a later
-- one wins.
--
-- Owners of vaults' schemas have no access here any more.

DROP POLICY own ON moments;
ALTER TABLE moments DROP COLUMN owner, DROP CONSTRAINT moments_vault_key, ADD PRIMARY KEY (vault);
ALTER TABLE moments ADD COLUMN number bigint NOT NULL DEFAULT 0;

CREATE OR REPLACE FUNCTION _begin_moment() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registry.moments (vault) VALUES (NEW.vault);
    RETURN NULL;
END $$;

-- Store the moments of vaults, each unless there is a later one. Rows are locked in one order, to avoid
-- deadlocks.
CREATE FUNCTION keep_moments(vaults text[], numbers bigint[], dues timestamptz[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT FROM moments m WHERE m.vault = ANY($1) ORDER BY m.vault FOR NO KEY UPDATE;
    UPDATE moments m SET number = kept.number, due_at = kept.due_at
    FROM unnest($1, $2, $3) AS kept (vault, number, due_at)
    WHERE m.vault = kept.vault /*[two-moments-later-one-stays*/AND m.number < kept.number/*]*/;
$$;
