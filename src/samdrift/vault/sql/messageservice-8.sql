-- A step in a message's life that leaves its status and its work as they are: what it waits for.
CREATE FUNCTION add_event(message text, way text, at timestamptz, details bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO status_events (message, direction, at, status, details)
    SELECT m.id, m.direction, $3, m.status, $4 FROM messages m
    WHERE m.id = $1 AND m.direction = $2 AND m.details IS NOT NULL
$$;
