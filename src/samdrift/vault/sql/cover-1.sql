-- Cover of the vault's function by agreements (vault/coverkeeping.py). A function that ran before there were
-- agreements is covered by one inherited agreement for 90 days, from the upgrade or from when the
-- organisation was added; its end is recorded here, and the login cannot change it. `noted` is the state that
-- was last logged.

CREATE TABLE cover (
    one             boolean     PRIMARY KEY DEFAULT true CHECK (one),
    inherited_from  timestamptz,          -- NULL if nothing was inherited
    inherited_until timestamptz,
    noted           text        NOT NULL DEFAULT '',
    CHECK (inherited_until <= inherited_from + interval '92 days')
);
-- From the day before, so that it has begun in every time zone and by every clock.
INSERT INTO cover (inherited_from, inherited_until)
VALUES (date_trunc('day', now()) - interval '1 day', date_trunc('second', now()) + interval '90 days');

-- Return whether this process is to report the new state: one of several that notice it does.
CREATE FUNCTION note_cover(before text, after text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE cover SET noted = $2 /*[one-process-tells-state*/WHERE noted = $1/*]*/;
    RETURN FOUND;
END $$;
