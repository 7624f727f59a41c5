-- Return whether a conversation can be disposed of: all its messages are opened, and final or no longer
-- followed, it has no draft and no hold, and it was done or registered before a time. A sent message is followed
-- for as long as it is due again; one that came from another client and cannot be shown is not.
CREATE OR REPLACE FUNCTION _disposable(c conversations, since text, before timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT /*[nothing-disposed-unread*/c.unread = 0/*]*/
       AND /*[nothing-disposed-held*/NOT EXISTS (SELECT FROM holds h WHERE h.id = c.id)/*]*/
       AND /*[nothing-disposed-written*/NOT EXISTS (SELECT FROM drafts d WHERE d.conversation = c.id AND d.stage <> 'sent')/*]*/
       AND NOT EXISTS (
           SELECT FROM messages m WHERE m.conversation = c.id AND m.direction = 'out' AND NOT (
               m.stage IN ('refused', 'not-sent', 'unreadable')
               OR (m.stage = 'handed-over'
                   AND /*[nothing-disposed-whose-still-followed*/(m.due_at IS NULL OR coalesce(m.status, '') IN ('ACCEPTED', 'MESSAGE_EXCHANGE_ERROR'))/*]*/)
           )
       )
       AND CASE since
           WHEN 'done' THEN c.done AND EXISTS (SELECT FROM finished f WHERE f.id = c.id AND f.at < before)
           ELSE EXISTS (SELECT FROM registrations r WHERE r.id = c.id AND r.at < before)
       END
$$;
