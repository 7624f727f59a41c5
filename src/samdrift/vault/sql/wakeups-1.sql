-- Listeners are notified after the commit, in a separate transaction (vault/announcing.py). The whole cluster
-- shares the queue of notifications: if it is full, the commit of a transaction that notifies fails, with
-- everything that it was to store.

-- Request that listeners are notified, once this transaction is committed, that there is work here.
CREATE OR REPLACE FUNCTION _wake() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM /*[stored-does-depend-queue-notifications*//*]*/set_config('samdrift.wake', 'on', true);
END $$;
