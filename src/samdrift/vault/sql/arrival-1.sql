-- What an organisation brought from its former supplier (vault/portability/arrival.py), in vaults of both roles.
--
-- Nothing here can be run but while an arrival is under way, and one can begin only in a vault that is empty.

CREATE TABLE arrivals (
    one      boolean     PRIMARY KEY DEFAULT true CHECK (one),
    manifest bytea       NOT NULL,        -- SHA-256: the export that is taken in
    begun_at timestamptz NOT NULL,
    done_at  timestamptz                  -- NULL while it is under way
);

-- Logs of former suppliers, as they were: evidence, and no part of this log.
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

-- The functions below are for an arrival that is under way.
CREATE FUNCTION _arriving() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM arrivals WHERE done_at IS NULL;
    IF NOT FOUND THEN
        RAISE 'nothing arrives here' USING ERRCODE = 'SD404';
    END IF;
END $$;

-- Begin, or go on: 'begun', 'under-way' or 'done' for the same export, 'occupied' when there is anything else.
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
