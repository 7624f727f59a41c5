-- Logs of former suppliers in both forms (salted-log-1.sql).

ALTER TABLE former_log ADD COLUMN retention smallint, ADD COLUMN salt bytea;
ALTER TABLE former_log ALTER COLUMN content DROP NOT NULL;
ALTER TABLE former_log DROP CONSTRAINT former_log_check;
ALTER TABLE former_log ADD CONSTRAINT former_log_form CHECK (CASE
    WHEN retention IS NULL THEN content IS NOT NULL AND hash = sha256(previous || int8send(sequence) || content)
    WHEN content IS NULL THEN salt IS NULL
    ELSE salt IS NOT NULL AND hash = sha256(salt || content)
END) NOT VALID;
