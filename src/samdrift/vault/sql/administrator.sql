
-- Rights for the administrator, who creates and drops vaults without being a superuser.
GRANT SELECT ON pg_catalog.pg_roles, pg_catalog.pg_auth_members, pg_catalog.pg_namespace, pg_catalog.pg_class,
    pg_catalog.pg_proc, pg_catalog.pg_attribute, pg_catalog.pg_db_role_setting, pg_catalog.pg_stat_activity,
    pg_catalog.pg_hba_file_rules, pg_catalog.pg_database, pg_catalog.pg_constraint,
    pg_catalog.pg_shdepend TO :administrator;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules(), pg_catalog.pg_terminate_backend(integer, bigint),
    pg_catalog.pg_stat_get_activity(integer), pg_catalog.has_parameter_privilege(text, text),
    pg_catalog.has_database_privilege(name, text, text), pg_catalog.pg_notification_queue_usage(),
    pg_catalog.pg_total_relation_size(regclass) TO :administrator;
GRANT SET ON PARAMETER temp_file_limit TO :administrator;
