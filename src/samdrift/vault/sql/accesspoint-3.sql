-- Certificates of peers, which the log names by fingerprint, each stored once and for as long as the log
-- (component-accesspoint 3.4.1). The database computes the fingerprint, so that no certificate is stored
-- under another one's.
CREATE TABLE peer_certificates (
    sha256      text        PRIMARY KEY,
    certificate bytea       NOT NULL,     -- DER
    first_at    timestamptz NOT NULL
);

CREATE FUNCTION keep_certificate(certificate bytea, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO peer_certificates VALUES (encode(sha256($1), 'hex'), $1, $2) ON CONFLICT DO NOTHING
$$;
