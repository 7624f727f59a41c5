-- A receipt's final state stays. The sender of a receipt may learn that it was handed over after the access
-- point has reported the end of the transfer: recording the handover then would wait for an end that has
-- come.
CREATE OR REPLACE FUNCTION set_receipt_state(receipt text, new_state text, now timestamptz, deadline timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE receipts SET state = new_state, updated_at = now
    WHERE id = receipt AND (new_state = 'delivered' OR state NOT IN ('delivered', 'failed'));
    IF FOUND THEN
        PERFORM _set_deadline(receipt, deadline);
    ELSIF NOT EXISTS (SELECT FROM receipts WHERE id = receipt) THEN
        RAISE 'no such receipt' USING ERRCODE = 'SD404';
    END IF;
    PERFORM finish_work('receipt', receipt);
END $$;
