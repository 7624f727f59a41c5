-- People at the pages of governance (vault/officers.py): keys that they offer, and the id by which the record
-- names them.

CREATE TABLE offered_keys (
    person text        PRIMARY KEY REFERENCES persons,
    at     timestamptz NOT NULL,
    sealed bytea       NOT NULL  -- the public key, and the person's name for it
);

-- Store an offered key; it replaces the person's former one.
CREATE FUNCTION offer_key(person text, at timestamptz, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO offered_keys AS o VALUES ($1, $2, $3)
    ON CONFLICT ON CONSTRAINT offered_keys_pkey DO UPDATE SET at = excluded.at, sealed = excluded.sealed
$$;

CREATE FUNCTION withdraw_key(person text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM offered_keys o WHERE o.person = $1;
    RETURN FOUND;
END $$;

-- Give the person with that mark another id, and end their sessions. Returns false if another person has that
-- id.
CREATE FUNCTION rename_person(known text, mark bytea, person text, sealed bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    /*[person-takes-nobody-id-governance*/IF EXISTS (SELECT FROM persons p WHERE p.id = $3) THEN
        RETURN false;
    END IF;/*]*/
    DELETE FROM sessions s WHERE s.person = $1;
    DELETE FROM offered_keys o WHERE o.person = $1;
    UPDATE persons p SET id = $3, sealed = $4 WHERE p.id = $1 AND p.mark = $2;
    RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION _is_empty() RETURNS boolean
LANGUAGE sql AS $$
    SELECT /*[export-arrives-governance-keeps-something*/NOT EXISTS (SELECT FROM records) AND/*]*/ NOT EXISTS (SELECT FROM signed_statements)
       AND NOT EXISTS (SELECT FROM persons)
$$;

CREATE FUNCTION arrive_persons(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO persons SELECT * FROM jsonb_populate_recordset(NULL::persons, rows::jsonb) ON CONFLICT DO NOTHING;
END $$;

-- Reports about compliance, as they were made for the organisation: the newest four hundred.
CREATE TABLE reports (
    at     timestamptz PRIMARY KEY,
    sealed bytea       NOT NULL
);

CREATE FUNCTION keep_report(at timestamptz, sealed bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO reports AS r VALUES (at, sealed) ON CONFLICT ON CONSTRAINT reports_pkey DO UPDATE SET sealed = excluded.sealed;
    DELETE FROM reports r WHERE r.at < (SELECT min(k.at) FROM (SELECT n.at FROM reports n ORDER BY n.at DESC LIMIT 400) k);
END $$;
