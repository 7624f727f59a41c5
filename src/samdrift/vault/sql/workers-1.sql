-- The registry as a worker sees it, in a schema of its own: the place of its own vault, and nothing about
-- others. Actions that are not an organisation's are appended to the operator's log.

CREATE VIEW installation AS SELECT channel FROM registry.installation;

CREATE VIEW registrations WITH (security_barrier) AS
SELECT organisation, role, state, vault, login, secret, channel
FROM registry.registrations WHERE reader = session_user;

CREATE FUNCTION append_log(contents bytea[], traces bigint[], ends int[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT registry.append_log($1, $2, $3)
$$;
