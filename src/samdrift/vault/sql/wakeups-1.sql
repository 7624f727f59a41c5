-- A wake-up leaves after the commit, in a transaction of its own (vault/announcing.py). The queue of notifications is
-- the whole cluster's: one that is full refuses the commit of whoever notifies, and with it all that was to be stored.

-- Ask for whoever listens to be told, once this transaction is committed, that something here waits to be done.
CREATE OR REPLACE FUNCTION _wake() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('samdrift.wake', 'on', true);
END $$;
