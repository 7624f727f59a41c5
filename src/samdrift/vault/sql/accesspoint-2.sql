-- What the operator's staff may do to transfers that wait (vault/transferrows.py).

-- Lock a transfer and tell how it stands: 'waiting', 'under-way' while somebody attempts it, else its
-- final state; NULL when there is none. An attempt without an outcome is under way until its lease runs out.
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

-- Have a waiting transfer attempted now; gives how it stood.
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

-- End a waiting transfer and tell its sender; gives how it stood, and the body's object to be removed, if
-- any. Its last attempt keeps what it met.
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
