-- Pages follow what changes (messageclient/live). A session that ends and a right that changes are for every process
-- that serves pages to hear of, whoever ended or stated it: a command is a process of its own.

CREATE FUNCTION _wake_pages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _wake();
    RETURN NULL;
END $$;
CREATE TRIGGER wake_pages AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION _wake_pages();
CREATE TRIGGER wake_pages AFTER INSERT ON statements FOR EACH ROW EXECUTE FUNCTION _wake_pages();

-- Have the status of messages that were sent asked for now: the message service says that it has changed.
CREATE FUNCTION hurry_mail(remotes bytea[], now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE messages m SET due_at = $2, attempts = 0
    WHERE m.remote = ANY ($1) AND m.direction = 'out' AND m.stage = 'handed-over' AND m.due_at > $2
$$;
