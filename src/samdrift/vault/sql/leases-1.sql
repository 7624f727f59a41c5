-- Which process is in charge of work that comes by itself: leases of partitions of the organisations, in each role
-- (scheduling/leases.py). The clock is the database's alone: whatever the processes' clocks say, a lease ends once.

CREATE TABLE lessees (
    process text        PRIMARY KEY,      -- as its claims name it
    roles   text[]      NOT NULL,
    until   timestamptz NOT NULL          -- the end of its leases, unless it renews them
);

CREATE TABLE partitions (
    role    text NOT NULL,                -- or '', for what is the installation's own
    number  int  NOT NULL,
    process text REFERENCES lessees (process) ON DELETE SET NULL,
    former  text,                         -- who had it before: claims of that process are taken up
    last    text,                         -- who had it last, or has it
    PRIMARY KEY (role, number)
);
INSERT INTO partitions (role, number)
SELECT role, number FROM unnest('{ap,mt,mk,gov}'::text[]) AS role, generate_series(0, 63) AS number UNION SELECT '', 0;

-- Renew the leases of a process, give back some of them, and take free ones, up to an even part for each of the processes
-- that serve a role. Returns what it has, and which of these are more than its part; and, without a role, the
-- processes that are found to have ended without giving their leases back. ended: processes that are known to
-- have ended, whatever the time of their leases.
CREATE FUNCTION renew_leases(
    me text, my_roles text[], lasting interval, ended text[], given_roles text[], given_numbers int[]
) RETURNS TABLE (role text, number int, former text, surplus boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    which text;
    part int;
    own int;
    gone text[];
BEGIN
    LOCK TABLE lessees IN SHARE ROW EXCLUSIVE MODE;  -- One after the other: each sees what the one before has taken.
    moment := clock_timestamp();
    WITH found AS (
        DELETE FROM lessees WHERE until <= moment OR (process = ANY(ended) AND process <> me) RETURNING process
    )
    SELECT array_agg(process) INTO gone FROM found WHERE process <> me;
    INSERT INTO lessees VALUES (me, my_roles, moment + lasting)
    ON CONFLICT (process) DO UPDATE SET roles = excluded.roles, until = excluded.until;
    UPDATE partitions p SET process = NULL FROM unnest(given_roles, given_numbers) AS given (role, number)
    WHERE p.process = me AND p.role = given.role AND p.number = given.number;
    UPDATE partitions SET process = NULL WHERE process = me AND role <> ALL(my_roles);
    FOREACH which IN ARRAY my_roles LOOP
        SELECT ceil((SELECT count(*) FROM partitions p WHERE p.role = which)::numeric / count(*)) INTO part
        FROM lessees WHERE which = ANY(roles);
        SELECT count(*) INTO own FROM partitions p WHERE p.role = which AND p.process = me;
        UPDATE partitions p SET process = me, former = p.last, last = me
        FROM (
            SELECT free.number FROM partitions free WHERE free.role = which AND free.process IS NULL
            ORDER BY free.number LIMIT greatest(part - own, 0)
        ) AS taken
        WHERE p.role = which AND p.number = taken.number;
        RETURN QUERY
            SELECT p.role, p.number, p.former, row_number() OVER (ORDER BY p.number) > part
            FROM partitions p WHERE p.role = which AND p.process = me;
    END LOOP;
    RETURN QUERY SELECT NULL::text, NULL::int, each, false FROM unnest(gone) AS each;
END $$;

-- End the leases of a process, as it ends in order: they are free for others.
CREATE FUNCTION end_leases(me text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM lessees WHERE process = me
$$;
