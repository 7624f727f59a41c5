-- Two more roles: message client (mk) and governance (gov).

ALTER TABLE registrations DROP CONSTRAINT registrations_role_check;
ALTER TABLE registrations ADD CONSTRAINT registrations_role_check CHECK (role IN ('ap', 'mt', 'mk', 'gov'));
