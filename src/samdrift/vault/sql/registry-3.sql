-- The login with which the worker of a vault, or the catch-all worker, reads the registry at isolation level
-- `process` (vault/sql/workers-1.sql). NULL before there is one, and when its worker is to get another.

ALTER TABLE registrations ADD COLUMN reader text UNIQUE;
ALTER TABLE installation ADD COLUMN reader text;
