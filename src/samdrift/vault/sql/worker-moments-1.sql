-- The moment of a worker's own vault, and of no other (vault/sql/moments-1.sql).
CREATE FUNCTION due_moments(until timestamptz) RETURNS TABLE (vault text, due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT m.vault, m.due_at FROM registry.moments m JOIN registry.registrations r USING (vault)
    WHERE m.due_at <= $1 /*[worker-reads-moment-vault-other*/AND r.reader = session_user/*]*/
$$;
