-- Cover of the vault's function by agreements (vault/coverkeeping.py). What was running before agreements were kept is
-- covered by one inherited agreement for 90 days, from the upgrade or from when the organisation was added: here it
-- stands when it ends. The login cannot change that. `noted` is the state that the log tells of last.

CREATE TABLE cover (
    one             boolean     PRIMARY KEY DEFAULT true CHECK (one),
    inherited_from  timestamptz,          -- NULL where nothing was inherited
    inherited_until timestamptz,
    noted           text        NOT NULL DEFAULT '',
    CHECK (inherited_until <= inherited_from + interval '92 days')
);
-- From the day before, whatever zone or clock is asked.
INSERT INTO cover (inherited_from, inherited_until)
VALUES (date_trunc('day', now()) - interval '1 day', date_trunc('second', now()) + interval '90 days');

-- Whether it is this process that tells of the new state: of several that see it, one does.
CREATE FUNCTION note_cover(before text, after text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE cover SET noted = $2 WHERE noted = $1;
    RETURN FOUND;
END $$;
