-- Leases that put one process in charge of recurring work, for partitions of the organisations in each role
-- (scheduling/leases.py). Only the database's clock counts, so that a lease ends at one time, whatever the
-- processes' clocks show.

CREATE TABLE lessees (
    process text        PRIMARY KEY,      -- as its claims name it
    roles   text[]      NOT NULL,
    until   timestamptz NOT NULL          -- end of its leases, unless it renews them
);

CREATE TABLE partitions (
    role    text NOT NULL,                -- or '', for the installation itself
    number  int  NOT NULL,
    process text REFERENCES lessees (process) ON DELETE SET NULL,
    former  text,                         -- the previous process, whose claims are released
    last    text,                         -- the process that has it, or had it last
    PRIMARY KEY (role, number)
);
INSERT INTO partitions (role, number)
SELECT role, number FROM unnest('{ap,mt,mk,gov}'::text[]) AS role, generate_series(0, 63) AS number UNION SELECT '', 0;

-- Renew the leases of a process, give back some of them, and lease free partitions, up to an equal share for
-- each of the processes that serve a role. Returns its leases, and whether each exceeds its share; and,
-- without a role, the processes that are found to have ended without giving their leases back. `ended` lists
-- processes that are known to have ended, whatever the time of their leases.
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
    LOCK TABLE lessees IN SHARE ROW EXCLUSIVE MODE;  -- Each process sees the leases of the one before.
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

-- End the leases of a process that shuts down, so that others can get them.
CREATE FUNCTION end_leases(me text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM lessees WHERE process = me
$$;
