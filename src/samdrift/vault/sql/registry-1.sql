-- The organisations that are hosted here, their roles, and where: all that organisations share.
--
-- The registry's login may read this and write the operator's log. The password of each vault's login is
-- encrypted here with that vault's data key, so that the registry's login cannot open any vault.

CREATE TABLE installation (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    channel text    NOT NULL              -- notifies of changed registrations
);

CREATE TABLE registrations (
    organisation text        NOT NULL,
    role         text        NOT NULL CHECK (role IN ('ap', 'mt')),
    state        text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    vault        text        NOT NULL UNIQUE,
    schema       text        NOT NULL UNIQUE,
    login        text        NOT NULL UNIQUE,
    secret       bytea       NOT NULL,
    channel      text        NOT NULL,
    added_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, role)
);
