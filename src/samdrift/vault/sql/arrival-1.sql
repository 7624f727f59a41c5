-- Import of an organisation's data from its former supplier (vault/portability/arrival.py), in vaults of all
-- roles.
--
-- These functions only work during an import, and an import can only begin in an empty vault.

CREATE TABLE arrivals (
    one      boolean     PRIMARY KEY DEFAULT true CHECK (one),
    manifest bytea       NOT NULL,        -- SHA-256 that identifies the imported export
    begun_at timestamptz NOT NULL,
    done_at  timestamptz                  -- NULL while it is under way
);

-- Logs of former suppliers, unchanged: evidence that is not part of this log.
CREATE TABLE former_log (
    log      text     NOT NULL,           -- the id that its chain begins with
    sequence bigint   NOT NULL,
    content  bytea    NOT NULL,
    previous bytea    NOT NULL,
    hash     bytea    NOT NULL,
    traces   bigint[] NOT NULL,
    PRIMARY KEY (log, sequence),
    CHECK (hash = sha256(previous || int8send(sequence) || content))
);
CREATE INDEX former_log_traces ON former_log USING gin (traces) WITH (gin_pending_list_limit = 256);

-- Check that an import is in progress, for the functions below.
CREATE FUNCTION _arriving() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM arrivals WHERE done_at IS NULL;
    IF /*[nothing-arrives-vault-under-way*/NOT FOUND/*]*/ THEN
        RAISE 'nothing arrives here' USING ERRCODE = 'SD404';
    END IF;
END $$;

-- Begin or continue an import. Returns 'begun', 'under-way' or 'done' for the same export, 'occupied' if
-- there is anything else in the vault.
CREATE FUNCTION begin_arrival(export bytea, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    known arrivals%ROWTYPE;
BEGIN
    SELECT * INTO known FROM arrivals;
    IF FOUND THEN
        RETURN CASE WHEN known.manifest <> export THEN 'occupied'
                    WHEN known.done_at IS NULL THEN 'under-way' ELSE 'done' END;
    END IF;
    IF NOT _is_empty() THEN
        RETURN 'occupied';
    END IF;
    INSERT INTO arrivals VALUES (true, export, at, NULL);
    RETURN 'begun';
END $$;

CREATE FUNCTION arrive_body(id text, size bigint, digest bytea, sealed bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO bodies VALUES ($1, $2, $3, $4);
END $$;

CREATE FUNCTION arrive_former_log(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO former_log SELECT * FROM jsonb_populate_recordset(NULL::former_log, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;
