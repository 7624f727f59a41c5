-- Checkpoints and keys of former suppliers' logs, unchanged: they prove those logs (log-tree-1.sql).

CREATE TABLE former_checkpoints (
    log       text        NOT NULL,  -- the id that its chain begins with
    origin    text        NOT NULL,  -- its name in checkpoints
    size      bigint      NOT NULL,
    signed_at timestamptz NOT NULL,
    first     bytea       NOT NULL,  -- the signed note, with each witness's first cosignature
    last      bytea       NOT NULL,  -- the same, with each one's latest
    PRIMARY KEY (log, origin, size)
);

CREATE TABLE former_log_keys (
    log          text   NOT NULL,
    key          text   NOT NULL,  -- name+hash+key (signed-note)
    number       bigint NOT NULL,
    announcement bytea,
    statement    bytea,
    PRIMARY KEY (log, key)
);

CREATE FUNCTION arrive_checkpoints(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO former_checkpoints SELECT * FROM jsonb_populate_recordset(NULL::former_checkpoints, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION arrive_log_keys(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO former_log_keys SELECT * FROM jsonb_populate_recordset(NULL::former_log_keys, rows::jsonb)
    ON CONFLICT DO NOTHING;
END $$;
