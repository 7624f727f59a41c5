-- Presets that people save for reuse, in vaults of message clients (vault/mailpresets.py): saved views, text
-- templates and distribution lists, each of a mailbox or a person, sealed for its kind and owner.

CREATE TABLE presets (
    id     text  PRIMARY KEY,
    kind   text  NOT NULL CHECK (kind IN ('view', 'text', 'list')),
    owner  text  NOT NULL,                    -- a mailbox or a person
    sealed bytea NOT NULL
);
CREATE INDEX presets_of_owner ON presets (owner, kind);

-- Store a preset, or change the one of that kind and owner; return false if the id belongs to another one.
CREATE FUNCTION keep_preset(id text, kind text, owner text, sealed bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO presets AS p VALUES ($1, $2, $3, $4) ON CONFLICT ON CONSTRAINT presets_pkey
    DO UPDATE SET sealed = excluded.sealed WHERE p.kind = $2 AND p.owner = $3;
    RETURN FOUND;
END $$;

-- Remove a preset; return false if there is none of that kind and owner.
CREATE FUNCTION drop_preset(id text, kind text, owner text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM presets p WHERE p.id = $1 AND p.kind = $2 AND p.owner = $3;
    RETURN FOUND;
END $$;

CREATE FUNCTION arrive_presets(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO presets SELECT * FROM jsonb_populate_recordset(NULL::presets, rows::jsonb) ON CONFLICT DO NOTHING;
END $$;
