-- Claims of an access point, in turns of their recipients (vault/accesspoint.py): a mailing to one recipient,
-- or a recipient whose access point is slow, does not delay transfers to others.
CREATE INDEX transfers_by_recipient ON transfers (recipient COLLATE "C", due_at) WHERE due_at IS NOT NULL;

-- Claim up to `most` due transfers and begin an attempt at each: one for each recipient in the order of their
-- names, from the one that follows `after`, then a second one for each, and so on. `busy` has the recipient
-- of each attempt in progress in the claiming process; one recipient has at most `most_of_one`. Each turn
-- reads two rows for each recipient, however many transfers wait.
CREATE FUNCTION claim_in_turn(
    now timestamptz, claimed_until timestamptz, most int, most_of_one int, busy text[], after text
) RETURNS SETOF transfers_tried
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    claimed text[] := '{}';
    turn    text;
    next    text;
    due     text;
    before  int;
    wrapped boolean;
BEGIN
    LOOP
        before := cardinality(claimed);
        turn := after;
        wrapped := false;
        WHILE cardinality(claimed) < most LOOP
            SELECT t.recipient INTO next FROM transfers t
            WHERE t.due_at IS NOT NULL AND t.recipient COLLATE "C" > turn ORDER BY t.recipient COLLATE "C" LIMIT 1;
            EXIT WHEN wrapped AND (next IS NULL OR next COLLATE "C" > after);
            IF next IS NULL THEN
                wrapped := true;
                turn := '';
                CONTINUE;
            END IF;
            turn := next;
            IF cardinality(array_positions(busy, turn)) < most_of_one THEN
                SELECT t.id INTO due FROM transfers t
                WHERE t.recipient COLLATE "C" = turn AND t.due_at <= now AND t.id <> ALL (claimed)
                ORDER BY t.due_at LIMIT 1 FOR UPDATE SKIP LOCKED;
                IF FOUND THEN
                    claimed := claimed || due;
                    busy := busy || turn;
                END IF;
            END IF;
        END LOOP;
        EXIT WHEN cardinality(claimed) IN (before, most);
    END LOOP;
    WITH taken AS (
        UPDATE transfers t SET due_at = claimed_until, attempts = t.attempts + 1, claimed_by = _claimant()
        WHERE t.id = ANY (claimed) RETURNING t.id, t.attempts
    )
    INSERT INTO attempts (transfer, number, at) SELECT taken.id, taken.attempts, now FROM taken;
    RETURN QUERY SELECT t.* FROM transfers_tried t WHERE t.id = ANY (claimed) ORDER BY t.created_at, t.id, t.number;
END $$;
