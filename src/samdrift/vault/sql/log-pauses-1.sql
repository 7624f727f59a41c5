-- Vaults that sign no checkpoints of their logs, with start and reason: locked until their officer unlocks
-- them, or suspended. The operator's log has an entry at the start and at the end of each.

CREATE TABLE log_pauses (
    vault  text        PRIMARY KEY REFERENCES registrations (vault) ON DELETE CASCADE,
    reason text        NOT NULL,
    since  timestamptz NOT NULL
);

-- Record that a vault signs nothing, or, without a reason, that it signs again. Returns whether that is new.
CREATE FUNCTION pause_log(which text, why text, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF why IS NULL THEN
        DELETE FROM log_pauses WHERE vault = which;
    ELSE
        INSERT INTO log_pauses SELECT r.vault, why, moment FROM registrations r WHERE r.vault = which
        ON CONFLICT (vault) DO UPDATE SET reason = excluded.reason /*[pause-operator-log-once*/WHERE log_pauses.reason <> excluded.reason/*]*/;
    END IF;
    RETURN FOUND;
END $$;
