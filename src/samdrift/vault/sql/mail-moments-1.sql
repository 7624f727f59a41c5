-- The vault's moment in the registry (moments-1.sql) is the earliest time at which a message may be gone on with. It is
-- kept by whatever changes that, in the same transaction and at its very end: nothing due is missed, whoever crashes.
CREATE FUNCTION _keep_moment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    next timestamptz;
BEGIN
    PERFORM FROM registry.moments WHERE owner = current_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE 'the vault has no moment' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT min(due_at) INTO next FROM messages WHERE due_at IS NOT NULL;
    UPDATE registry.moments SET due_at = next WHERE owner = current_user AND due_at IS DISTINCT FROM next;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER keep_moment AFTER INSERT OR DELETE OR UPDATE OF due_at ON messages
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION _keep_moment();

UPDATE registry.moments SET due_at = NULL WHERE owner = current_user;
