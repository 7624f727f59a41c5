-- The moment of a message service's vault (moment-1.sql) is the earliest time at which any work may be claimed.
CREATE FUNCTION _next_due() RETURNS timestamptz
LANGUAGE sql AS $$
    SELECT min(due_at) FROM work
$$;
DROP TRIGGER IF EXISTS keep_moment ON work;
CREATE CONSTRAINT TRIGGER keep_moment AFTER INSERT OR DELETE OR UPDATE OF due_at ON work
DEFERRABLE INITIALLY /*[moment-kept-transaction-last-change*/DEFERRED/*]*/ FOR EACH ROW EXECUTE FUNCTION _keep_moment();

UPDATE moment SET number = 1, due_at = _next_due();
DELETE FROM versions WHERE part = 'messageservice-moments';
