-- Grounds on which other parties' certificates were judged: chains, responders' answers, revocation lists
-- (wire/verdicts.py), each stored once, and the document that names them, which a log entry names by its
-- SHA-256. The database computes the digest, so that no content is stored under another one's.
CREATE TABLE grounds (
    sha256  text        PRIMARY KEY,
    content bytea       NOT NULL,
    last_at timestamptz NOT NULL     -- when they were last used, to the day
);

CREATE FUNCTION keep_grounds(pieces bytea[], at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO grounds
    SELECT DISTINCT encode(sha256(p), 'hex'), p, $2 FROM unnest($1) p ORDER BY 1 ON CONFLICT DO NOTHING;
    UPDATE grounds g SET last_at = $2
    WHERE g.last_at < $2 - interval '12 hours'
        AND g.sha256 IN (SELECT encode(sha256(p), 'hex') FROM unnest($1) p);
$$;

-- Delete grounds that are named only by entries from before a time, which is at least a year ago: by then,
-- these entries have lost their facts. Returns how many were deleted.
CREATE FUNCTION dispose_grounds(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    gone bigint;
BEGIN
    IF before > clock_timestamp() - interval '12 months' THEN
        RAISE EXCEPTION 'these are kept' USING ERRCODE = 'SD409';
    END IF;
    DELETE FROM grounds WHERE last_at < before - interval '2 days';
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

CREATE FUNCTION arrive_grounds(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO grounds
    SELECT encode(sha256(r.content), 'hex'), r.content, r.last_at
    FROM jsonb_populate_recordset(NULL::grounds, rows::jsonb) r
    ON CONFLICT DO NOTHING;
END $$;
