-- Drafts of a writer in a mailbox that are not sent, for who begins another one. Others that begin one in the mailbox wait
-- until that is committed, so that drafts begun at the same moment are no more than so many.
CREATE FUNCTION count_drafts(writer text, mailbox text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM mailboxes m WHERE m.id = $2 FOR NO KEY UPDATE;
    RETURN (
        SELECT count(*) FROM drafts d WHERE d.writer = $1 AND d.mailbox = $2 AND d.stage NOT IN ('window', 'sent')
    );
END $$;
