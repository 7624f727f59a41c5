-- The moment of a message client's vault (moment-1.sql) is the earliest time at which a message may be
-- claimed.
CREATE FUNCTION _next_due() RETURNS timestamptz
LANGUAGE sql AS $$
    SELECT min(due_at) FROM messages WHERE due_at IS NOT NULL
$$;
DROP TRIGGER IF EXISTS keep_moment ON messages;
CREATE CONSTRAINT TRIGGER keep_moment AFTER INSERT OR DELETE OR UPDATE OF due_at ON messages
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION _keep_moment();

UPDATE moment SET number = 1, due_at = _next_due();
DELETE FROM versions WHERE part = 'mail-moments';
