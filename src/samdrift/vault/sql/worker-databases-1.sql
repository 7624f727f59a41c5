-- The database that a worker's own vault is in (vault/sql/databases-1.sql).
CREATE OR REPLACE VIEW registrations WITH (security_barrier) AS
SELECT organisation, role, state, vault, login, secret, channel, database
FROM registry.registrations /*[worker-reads-registry-vault-other*/WHERE reader = session_user/*]*/;
