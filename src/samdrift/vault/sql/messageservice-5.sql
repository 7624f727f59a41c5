-- The address of each mailbox, once and sealed: messages, whose size is not limited, are not read to list
-- them.

CREATE TABLE mailboxes (
    mark    bytea PRIMARY KEY,
    address bytea NOT NULL                -- sealed
);

CREATE FUNCTION know_mailbox(mark bytea, address bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO mailboxes VALUES ($1, $2) ON CONFLICT DO NOTHING
$$;
