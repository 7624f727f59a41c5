-- Count a writer's unsent drafts in a mailbox before another one is begun. Other requests to begin a draft in
-- the mailbox wait until this transaction is committed, so that concurrent ones cannot exceed the limit.
CREATE FUNCTION count_drafts(writer text, mailbox text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    /*[drafts-begun-at-after-other*/PERFORM FROM mailboxes m WHERE m.id = $2 FOR NO KEY UPDATE;/*]*/
    RETURN (
        SELECT count(*) FROM drafts d WHERE d.writer = $1 AND d.mailbox = $2 AND d.stage NOT IN ('window', 'sent')
    );
END $$;
