-- When something here becomes due, so that a vault in which nothing is due need not be opened.
--
-- Every change of what is due updates the moment, in the same transaction and at its very end: a trigger of
-- the role calls this (accesspoint-moment-1.sql and others). The process that commits reads it from its
-- session, with the commit, and sends it to the registry (vault/moments.py). It is numbered: of two that are
-- on their way, the later one wins.
CREATE TABLE moment (
    one    boolean     PRIMARY KEY DEFAULT true CHECK (one),
    number bigint      NOT NULL DEFAULT 0,
    due_at timestamptz                    -- NULL: nothing waits
) WITH (fillfactor = 50);
INSERT INTO moment DEFAULT VALUES;

-- Update the moment. The row is locked before the due work is read, so that everything that others have
-- committed by then is seen, and others that have not committed yet read after this transaction. A
-- transaction with this lock requests no other.
CREATE OR REPLACE FUNCTION _keep_moment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    next timestamptz;
    made bigint;
BEGIN
    PERFORM FROM moment /*[changes-due-locks-before-looks*/FOR NO KEY UPDATE/*]*/;
    /*[nothing-becomes-due-moment-kept*/IF NOT FOUND THEN
        RAISE 'the vault has no moment' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;/*]*/
    next := _next_due();
    UPDATE moment SET number = number + 1, due_at = next WHERE due_at IS DISTINCT FROM next RETURNING number INTO made;
    IF FOUND THEN
        PERFORM set_config('samdrift.moment', made || ' ' || coalesce(next::text, ''), true);
    END IF;
    RETURN NULL;
END $$;
