-- When something here becomes due, so that nobody has to open the vault in order to know that nothing is.
--
-- The moment is kept by whatever changes what is due, in the same transaction and at its very end: a trigger of the role
-- calls this (accesspoint-moment-1.sql and others). The process that commits reads it from its session, with the commit,
-- and brings it to the registry (vault/moments.py). It is numbered: of two that are on their way the later one wins.
CREATE TABLE moment (
    one    boolean     PRIMARY KEY DEFAULT true CHECK (one),
    number bigint      NOT NULL DEFAULT 0,
    due_at timestamptz                    -- NULL: nothing waits
) WITH (fillfactor = 50);
INSERT INTO moment DEFAULT VALUES;

-- Keep the moment. The row is locked before it is looked what is due: what others have committed by then is seen, and
-- those who have not committed yet will look after this one has. Nobody who holds this lock asks for another.
CREATE OR REPLACE FUNCTION _keep_moment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    next timestamptz;
    made bigint;
BEGIN
    PERFORM FROM moment FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE 'the vault has no moment' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    next := _next_due();
    UPDATE moment SET number = number + 1, due_at = next WHERE due_at IS DISTINCT FROM next RETURNING number INTO made;
    IF FOUND THEN
        PERFORM set_config('samdrift.moment', made || ' ' || coalesce(next::text, ''), true);
    END IF;
    RETURN NULL;
END $$;
