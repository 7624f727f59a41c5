-- Whose a claim is. A session says by a setting which process it belongs to (vault/gate.py), so that claims of a process
-- that has ended are taken up at once (accesspoint-claims-1.sql and others). A session that does not say so, as of version
-- 0.1, makes claims that wait for the end of their lease.
CREATE FUNCTION _claimant() RETURNS text
LANGUAGE sql AS $$
    SELECT nullif(current_setting('samdrift.claimant', true), '')
$$;
