-- A database for each organisation (decision record 0020), in which each of its roles is a schema.

-- The name of an organisation's database, from before it is created until it has been dropped.
CREATE TABLE databases (
    organisation text PRIMARY KEY,
    name         text NOT NULL UNIQUE
);

-- The database that a vault is in; NULL: this one, as in version 0.1.
ALTER TABLE registrations ADD COLUMN database text REFERENCES databases (name);
