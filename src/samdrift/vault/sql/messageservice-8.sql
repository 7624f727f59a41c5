-- Add a step to a message's life that changes neither its status nor its work: what it waits for.
CREATE FUNCTION add_event(message text, way text, at timestamptz, details bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO status_events (message, direction, at, status, details)
    SELECT m.id, m.direction, $3, m.status, $4 FROM messages m
    WHERE m.id = $1 AND m.direction = $2 AND m.details IS NOT NULL
$$;
