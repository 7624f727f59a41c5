-- Pages follow changes (messageclient/live). Every process that serves pages is notified when a session ends
-- or a right changes, even if another process, such as a command, made the change.

CREATE FUNCTION _wake_pages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _wake();
    RETURN NULL;
END $$;
CREATE TRIGGER wake_pages AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION _wake_pages();
CREATE TRIGGER wake_pages AFTER INSERT ON statements FOR EACH ROW EXECUTE FUNCTION _wake_pages();

-- Query the status of sent messages now, since the message service has reported that it changed.
CREATE FUNCTION hurry_mail(remotes bytea[], now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE messages m SET due_at = $2, attempts = 0
    WHERE m.remote = ANY ($1) AND m.direction = 'out' AND m.stage = 'handed-over' AND m.due_at > $2
$$;
