-- The access point may tell how a receipt's transfer has ended before whoever handed it over has noted that: what has
-- ended stays so, and gets no deadline any more.
CREATE OR REPLACE FUNCTION set_receipt_state(receipt text, new_state text, now timestamptz, deadline timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE receipts SET state = new_state, updated_at = now
    WHERE id = receipt AND (new_state <> 'submitted' OR state = 'queued');
    IF FOUND THEN
        PERFORM _set_deadline(receipt, deadline);
    ELSE
        PERFORM FROM receipts WHERE id = receipt;
        IF NOT FOUND THEN
            RAISE 'no such receipt' USING ERRCODE = 'SD404';
        END IF;
    END IF;
    PERFORM finish_work('receipt', receipt);
END $$;
