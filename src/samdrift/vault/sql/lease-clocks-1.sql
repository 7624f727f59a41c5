-- Leases are for processes whose clock is right. A process postpones work by its own clock: one that is ahead
-- would postpone it for too long. It is set aside as long as there is another process.

ALTER TABLE lessees ADD COLUMN apart boolean NOT NULL DEFAULT false;  -- its clock differs from the database's

-- Renew the leases of a process, give back some of them, and lease free partitions, up to an equal share for
-- each of the processes that serve a role. Returns its leases, and whether each exceeds its share; and,
-- without a role, the processes that are found to have ended without giving their leases back. `ended` lists
-- processes that are known to have ended, whatever the time of their leases. `my_time` is the clock of the
-- process, and `most` is how far that may be from the database's. A process whose clock is wrong gets no
-- leases of a role that is served by one whose clock is right; if that applies to all its roles, a row
-- without a role and a process reports that it is set aside.
CREATE FUNCTION renew_leases(
    me text, my_roles text[], lasting interval, ended text[], given_roles text[], given_numbers int[],
    my_time timestamptz, most interval
) RETURNS TABLE (role text, number int, former text, surplus boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    which text;
    part int;
    own int;
    gone text[];
    mine_apart boolean := coalesce(abs(extract(epoch FROM my_time - statement_timestamp()))
        >= extract(epoch FROM most), false);
    aside boolean := true;
BEGIN
    LOCK TABLE lessees IN SHARE ROW EXCLUSIVE MODE;  -- Each process sees the leases of the one before.
    moment := clock_timestamp();
    WITH found AS (
        DELETE FROM lessees WHERE /*[lease-has-ended-process*/until <= moment/*]*/ OR (process = ANY(ended) AND process <> me) RETURNING process
    )
    SELECT array_agg(process) INTO gone FROM found WHERE process <> me;
    INSERT INTO lessees VALUES (me, my_roles, moment + lasting, mine_apart)
    ON CONFLICT (process) DO UPDATE
    SET roles = excluded.roles, until = excluded.until, apart = excluded.apart;
    UPDATE partitions p SET process = NULL FROM unnest(given_roles, given_numbers) AS given (role, number)
    WHERE p.process = me AND p.role = given.role AND p.number = given.number;
    UPDATE partitions SET process = NULL WHERE process = me AND role <> ALL(my_roles);
    FOREACH which IN ARRAY my_roles LOOP
        IF /*[process-whose-clock-clock-right*/mine_apart/*]*/ AND EXISTS (SELECT FROM lessees WHERE which = ANY(roles) AND NOT apart) THEN
            part := 0;
        ELSE
            aside := false;
            SELECT ceil((SELECT count(*) FROM partitions p WHERE p.role = which)::numeric / count(*)) INTO part
            FROM lessees WHERE which = ANY(roles) AND apart = mine_apart;
        END IF;
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
    RETURN QUERY SELECT NULL::text, NULL::int, NULL::text, true WHERE aside;
END $$;

-- As renew_leases above, for a process of an earlier version, which does not report its clock.
CREATE OR REPLACE FUNCTION renew_leases(
    me text, my_roles text[], lasting interval, ended text[], given_roles text[], given_numbers int[]
) RETURNS TABLE (role text, number int, former text, surplus boolean)
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT role, number, former, surplus
    FROM renew_leases(me, my_roles, lasting, ended, given_roles, given_numbers, NULL, NULL)
    WHERE role IS NOT NULL OR former IS NOT NULL
$$;
