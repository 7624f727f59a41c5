-- Deletion in a message service (vault/forgetting.py): facts for detecting duplicates after 180 days, and
-- proofs of exchanges together with the log that names them. In small steps, so that no transaction locks
-- many rows.

CREATE INDEX messages_facts ON messages (created_at) WHERE details IS NULL OR size = 0;
CREATE INDEX message_steps_of ON message_steps (message);
CREATE INDEX processed_at ON processed (at);
CREATE INDEX receipts_created ON receipts (created_at);

-- When a digest was stored. For existing ones that is unknown: they count as stored now.
ALTER TABLE digests ADD COLUMN kept_at timestamptz NOT NULL DEFAULT clock_timestamp();
CREATE INDEX digests_kept ON digests (kept_at);

CREATE OR REPLACE FUNCTION keep_digest(commitment text, sealed bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO digests (commitment, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING
$$;

CREATE OR REPLACE FUNCTION arrive_digests(rows text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM _arriving();
    INSERT INTO digests (commitment, sealed)
    SELECT d.commitment, d.sealed FROM jsonb_populate_recordset(NULL::digests, rows::jsonb) d
    ON CONFLICT DO NOTHING;
END $$;

-- As in messageservice-6.sql; and once the facts for detecting a second copy of a message are deleted, its
-- envelope does not open again: its mark stays as long as the vault. `kept` is true if the first mark is new: the
-- witness follows new marks alone, since one that a backup has would hide that later ones are lost.
CREATE OR REPLACE FUNCTION take_session_key(
    marks text[], envelope bytea, at timestamptz, created timestamptz, recipient bytea,
    sender text, since timestamptz, most int, witness text,
    OUT outcome text, OUT kept boolean, OUT doubted boolean, OUT names text[], OUT keys bytea[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
BEGIN
    doubted := false;
    kept := false;
    PERFORM FROM refusals r WHERE r.sender = sender AND /*[sender-meaningless-envelopes-limited*/r.first_at > since AND r.number >= most/*]*/;
    IF FOUND THEN
        outcome := 'limited';
        RETURN;
    END IF;
    IF NOT _witnessed(witness) THEN
        outcome := 'unwitnessed';
        RETURN;
    END IF;
    SELECT array_agg(k.name ORDER BY k.name), array_agg(k.sealed ORDER BY k.name) INTO names, keys FROM mark_keys k;
    IF coalesce(cardinality(keys), 0) >= cardinality(marks) THEN
        outcome := 'brought';
        RETURN;
    END IF;
    INSERT INTO session_keys SELECT marks[1], envelope, at
    WHERE NOT EXISTS (SELECT FROM session_keys s WHERE s.mark = ANY (marks[2:])) ON CONFLICT DO NOTHING;
    kept := /*[witness-moves-for-new-mark*/FOUND/*]*/;
    PERFORM FROM session_keys s
    WHERE s.mark = ANY (marks) AND (s.envelope <> envelope OR s.at < at - interval '180 days');
    outcome := CASE WHEN FOUND THEN 'used' ELSE 'taken' END;
    SELECT count(*) > 0, CASE WHEN bool_or(l.restored AND created < l.found_at) THEN 'used' ELSE outcome END
    INTO doubted, outcome
    FROM lost_marks l WHERE l.accepted_at IS NULL AND recipient = ANY (l.keys);
END $$;

-- Delete up to `most` facts of each kind from before a time, which is at least 180 days ago: processed items,
-- ids of deleted messages, facts about rejected ones, with the steps of their lives, and counts of senders.
-- Returns the largest number of deleted rows, which is less than `most` when nothing is left.
CREATE FUNCTION forget_duplicates(before timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    items bigint;
    facts bigint;
BEGIN
    IF before > clock_timestamp() - interval '180 days' THEN
        RAISE EXCEPTION 'these are kept' USING ERRCODE = 'SD409';
    END IF;
    DELETE FROM processed p USING (
        SELECT o.item FROM processed o WHERE o.at < before ORDER BY o.at LIMIT most FOR UPDATE SKIP LOCKED
    ) over WHERE p.item = over.item;
    GET DIAGNOSTICS items = ROW_COUNT;
    WITH over AS (
        SELECT m.id, m.direction FROM messages m
        WHERE (m.details IS NULL OR m.size = 0) AND m.created_at < before AND m.body IS NULL
          AND NOT EXISTS (SELECT FROM work w WHERE w.id = m.id)
        ORDER BY m.created_at LIMIT most FOR UPDATE SKIP LOCKED
    ), told AS (
        DELETE FROM status_events e USING over WHERE e.message = over.id AND e.direction = over.direction
    ), stepped AS (
        DELETE FROM message_steps s USING over WHERE s.message = over.id
          AND NOT EXISTS (SELECT FROM messages o WHERE o.id = over.id AND o.direction <> over.direction)
    )
    DELETE FROM messages m USING over WHERE m.id = over.id AND m.direction = over.direction;
    GET DIAGNOSTICS facts = ROW_COUNT;
    DELETE FROM refusals r WHERE r.first_at < before;
    RETURN greatest(items, facts);
END $$;

-- Delete up to `most` proofs of exchanges from before a time, which is at least a year ago: by then, their
-- log entries have lost their facts. Returns the same as forget_duplicates.
CREATE FUNCTION dispose_proofs(before timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    given bigint;
    named bigint;
BEGIN
    IF before > clock_timestamp() - interval '12 months' THEN
        RAISE EXCEPTION 'these are kept' USING ERRCODE = 'SD409';
    END IF;
    DELETE FROM receipts r USING (
        SELECT o.id FROM receipts o
        WHERE o.created_at < before AND NOT EXISTS (SELECT FROM work w WHERE w.id = o.id)
          AND NOT EXISTS (SELECT FROM messages m WHERE m.id = o.message AND m.details IS NOT NULL)
        ORDER BY o.created_at LIMIT most FOR UPDATE SKIP LOCKED
    ) over WHERE r.id = over.id;
    GET DIAGNOSTICS given = ROW_COUNT;
    DELETE FROM digests d USING (
        SELECT o.commitment FROM digests o WHERE o.kept_at < before - interval '2 days'
        ORDER BY o.kept_at LIMIT most FOR UPDATE SKIP LOCKED
    ) over WHERE d.commitment = over.commitment;
    GET DIAGNOSTICS named = ROW_COUNT;
    RETURN greatest(given, named);
END $$;
