-- The moment of an access point's vault (moment-1.sql) is the earliest time at which a transfer may be claimed.
CREATE FUNCTION _next_due() RETURNS timestamptz
LANGUAGE sql AS $$
    SELECT min(due_at) FROM transfers WHERE due_at IS NOT NULL
$$;
DROP TRIGGER IF EXISTS keep_moment ON transfers;
CREATE CONSTRAINT TRIGGER keep_moment AFTER INSERT OR DELETE OR UPDATE OF due_at ON transfers
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION _keep_moment();

UPDATE moment SET number = 1, due_at = _next_due();
DELETE FROM versions WHERE part = 'accesspoint-moments';
