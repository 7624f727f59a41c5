-- Postpone the next query for messages whose status has not changed; together, since many wait for receipts
-- at a time.
CREATE FUNCTION put_off_mail(messages text[], due timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE messages m SET due_at = $2
    WHERE m.id = ANY ($1) AND m.direction = 'out' AND m.stage = 'handed-over' AND m.due_at IS NOT NULL
$$;
