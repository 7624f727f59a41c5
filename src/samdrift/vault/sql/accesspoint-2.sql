-- Operations of the operator's staff on waiting transfers (vault/transferdesk.py).

-- Lock a transfer and return its state: 'waiting', 'under-way' during an attempt, otherwise its final state;
-- NULL if it does not exist. An attempt without an outcome is under way until its lease expires.
CREATE FUNCTION _standing(transfer text, at timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    held transfers%ROWTYPE;
BEGIN
    SELECT * INTO held FROM transfers t WHERE t.id = transfer FOR UPDATE;
    IF held.state = 'queued' THEN
        PERFORM FROM attempts a
        WHERE a.transfer = transfer AND a.number = held.attempts AND a.error IS NULL AND held.due_at > at;
        RETURN CASE WHEN FOUND THEN 'under-way' ELSE 'waiting' END;
    END IF;
    RETURN held.state;
END $$;

-- Make a waiting transfer due now; return its former state.
CREATE FUNCTION hasten(transfer text, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    stood text := _standing(transfer, at);
BEGIN
    IF stood = 'waiting' THEN
        UPDATE transfers t SET due_at = at WHERE t.id = transfer;
        PERFORM _wake();
    END IF;
    RETURN stood;
END $$;

-- End a waiting transfer and report that to its sender. Returns its former state, and the object of its body
-- to be removed, if any. Its last attempt keeps its error.
CREATE FUNCTION give_up(transfer text, at timestamptz, why text, OUT stood text, OUT remote text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    stood := _standing(transfer, at);
    IF stood = 'waiting' THEN
        SELECT e.remote INTO remote FROM end_transfer(transfer, 'failed', at, NULL, NULL, NULL) e;
        PERFORM tell(transfer, at, 'failed', 'given-up', why);
    END IF;
END $$;
