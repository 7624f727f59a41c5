-- The process that a claim belongs to. A session names its process in a setting (vault/database/session.py),
-- so that claims of a process that has ended are released immediately (accesspoint-claims-1.sql and others).
-- A session that names none, as in version 0.1, makes claims that wait for the end of their lease.
CREATE FUNCTION _claimant() RETURNS text
LANGUAGE sql AS $$
    SELECT nullif(current_setting('samdrift.claimant', true), '')
$$;
