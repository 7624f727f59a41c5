-- A receipt's end stays. Who hands a receipt over may be told of that after the access point has told how the transfer ended:
-- to note then that it is handed over would wait for an end that has come.
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
