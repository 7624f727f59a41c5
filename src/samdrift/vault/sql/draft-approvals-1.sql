-- A second person's approval of a draft, and the request for it, are bound to what was approved by a keyed
-- mark (vault/mailbonds.py), so that write access to the database is not enough to approve a draft.

ALTER TABLE drafts ADD COLUMN approval bytea;  -- of requester and approver, the sealed text, and the files

-- Earlier requests and approvals are not bound, so they must be made again.
UPDATE drafts d SET stage = 'open', asked_by = NULL, approved_by = NULL, version = d.version + 1
WHERE d.stage IN ('approval', 'approved');
UPDATE drafts d SET asked_by = NULL, approved_by = NULL WHERE d.stage = 'window';

CREATE OR REPLACE FUNCTION keep_draft(draft text, known int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    one drafts%ROWTYPE := jsonb_populate_record(NULL::drafts, draft::jsonb);
BEGIN
    IF known = 0 THEN
        INSERT INTO drafts SELECT (one).*;
        RETURN true;
    END IF;
    UPDATE drafts d SET (version, stage, writer, saved_at, asked_by, approved_by, until, sealed, approval)
    = ROW (known + 1, one.stage, one.writer, one.saved_at, one.asked_by, one.approved_by, one.until, one.sealed, one.approval)
    WHERE d.id = one.id AND d.version = known;
    RETURN FOUND;
END $$;
