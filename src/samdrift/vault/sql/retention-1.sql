-- Classes of the message client's events (audit/events.py), in every log: access to content by people counts
-- as reading.
CREATE OR REPLACE FUNCTION _retention(event text) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE
        WHEN event LIKE 'log:%' THEN 0
        WHEN event = 'mt:message:read' OR event LIKE 'mk:reading:%' THEN 2
        WHEN event LIKE 'mt:message:%' OR event LIKE 'mt:receipt:%' OR event LIKE 'ap:transfer:%'
            OR event LIKE 'ap:envelope:%' OR event LIKE 'mt:malware:%' OR event LIKE 'mt:sender:%'
            OR event LIKE 'mk:message:%' OR event LIKE 'mk:conversation:%' OR event LIKE 'mk:draft:%' THEN 1
        WHEN event LIKE 'vault:opening:%' OR event LIKE 'mt:token:%' OR event LIKE 'mt:client:%'
            OR event LIKE 'mk:access:%' OR event LIKE 'mk:session:%' OR event LIKE 'mk:sign-in:%' THEN 3
        ELSE 4
    END)::smallint
$$;
