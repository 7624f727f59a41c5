-- Steps in the lives of messages, in the order of the log, for the events of interface D
-- (vault/messageservice.py). They have their own rows, so that they stay when facts of the log are disposed
-- of.

LOCK TABLE log IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE message_steps (
    sequence bigint PRIMARY KEY,          -- of the step's entry in the log
    message  text   NOT NULL
);

-- Return the message whose life an entry begins or continues (audit/events.py), NULL for any other entry. The
-- form of an entry is canonical, and quotation marks inside values are escaped, so no facts can look like
-- this.
CREATE FUNCTION _step(content bytea) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN _event(content) IN (
        'mt:message:scheduled', 'mt:message:submitted', 'mt:message:postponed', 'mt:message:acknowledged',
        'mt:message:accepted', 'mt:message:rejected', 'mt:message:failed', 'mt:message:retrieved', 'mt:message:new'
    ) THEN substring(convert_from(content, 'UTF8') FROM '"message":"([^"\\]*)"') END
$$;

INSERT INTO message_steps
SELECT sequence, _step(content) FROM log
WHERE position('"event":"mt:message:'::bytea IN content) > 0 AND _step(content) IS NOT NULL;

-- By a trigger, so that processes of an earlier version record their steps too.
CREATE FUNCTION _keep_step() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    message text := _step(NEW.content);
BEGIN
    IF message IS NOT NULL THEN
        INSERT INTO message_steps VALUES (NEW.sequence, message);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_step AFTER INSERT ON log FOR EACH ROW
WHEN (position('"event":"mt:message:'::bytea IN NEW.content) > 0) EXECUTE FUNCTION _keep_step();

DROP INDEX log_of_messages;
