-- Revoke what PostgreSQL grants to every role by default and no vault's login needs. Run by a superuser.
--
-- A login that cannot list the catalogs can still guess: it can LISTEN on any channel, and a number cast to
-- regclass gives a name. That is why names of schemas, logins and channels are random.

REVOKE ALL ON DATABASE template1 FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
/*[catalog-can-listed*/REVOKE SELECT ON ALL TABLES IN SCHEMA pg_catalog FROM PUBLIC;/*]*/
REVOKE SELECT ON ALL TABLES IN SCHEMA information_schema FROM PUBLIC;
REVOKE USAGE ON SCHEMA information_schema FROM PUBLIC;

-- Functions that reveal other sessions and objects, use locks or space that all share, or store things
-- outside of a schema.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
          AND (proname LIKE 'pg\_%' OR proname LIKE 'lo\_%' OR proname LIKE 'has\_%' OR proname LIKE '%\_to\_xml%'
               OR proname IN ('lowrite', 'loread', 'txid_current_snapshot', 'txid_snapshot_xip', 'col_description',
                              'obj_description', 'shobj_description', 'makeaclitem', 'aclexplode', 'row_security_active'))
          AND proname <> 'pg_notify'  -- NOTIFY does the same and cannot be denied
          AND prokind IN ('f', 'a', 'w')
    LOOP
        /*[functions-server-tell-others-closed*/EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name)/*]*/;
    END LOOP;
END $$;
