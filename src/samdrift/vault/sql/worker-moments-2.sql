-- Keep the moment of a worker's own vault, and of no other (vault/sql/moments-2.sql).
CREATE FUNCTION keep_moments(vaults text[], numbers bigint[], dues timestamptz[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT registry.keep_moments(array_agg(kept.vault), array_agg(kept.number), array_agg(kept.due_at))
    FROM unnest($1, $2, $3) AS kept (vault, number, due_at) JOIN registry.registrations r USING (vault)
    /*[worker-keeps-moment-vault-other*/WHERE r.reader = session_user/*]*/
$$;
