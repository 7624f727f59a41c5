-- Certificates of peers move with the log that names them (vault/portability/arrival.py).

CREATE FUNCTION arrive_peer_certificates(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO peer_certificates
    SELECT encode(sha256(r.certificate), 'hex'), r.certificate, r.first_at
    FROM jsonb_populate_recordset(NULL::peer_certificates, rows::jsonb) r
    ON CONFLICT DO NOTHING;
END $$;
