-- The registry as a worker sees it, in a schema of its own: where its own vault is, and nothing of another's. What it
-- does in nobody's name it writes in the operator's log, at its end.

CREATE VIEW installation AS SELECT channel FROM registry.installation;

CREATE VIEW registrations WITH (security_barrier) AS
SELECT organisation, role, state, vault, login, secret, channel
FROM registry.registrations WHERE reader = session_user;

CREATE FUNCTION append_log(contents bytea[], traces bigint[], ends int[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT registry.append_log($1, $2, $3)
$$;
