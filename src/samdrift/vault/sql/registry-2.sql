-- The end of an organisation. While it is being closed, its registrations say so; afterwards there is only a
-- row here, with nothing that it ever sent or received (vault/closing.py).

ALTER TABLE registrations DROP CONSTRAINT registrations_state_check;
ALTER TABLE registrations ADD CONSTRAINT registrations_state_check
    CHECK (state IN ('active', 'suspended', 'closing'));

CREATE TABLE closings (
    number       bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    organisation text        NOT NULL,
    facts        bytea       NOT NULL,    -- the decision, and what was to be destroyed
    begun_at     timestamptz NOT NULL,
    ended_at     timestamptz,             -- NULL while it is under way
    certificate  bytea                    -- of destruction, signed
);
CREATE UNIQUE INDEX closings_under_way ON closings (organisation) WHERE ended_at IS NULL;
