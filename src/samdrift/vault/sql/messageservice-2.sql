-- Delete the body of a message and keep its facts; return its id if there is an object to be removed.
CREATE FUNCTION drop_content(message text, way text, OUT dropped boolean, OUT remote text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_variable
DECLARE
    stored text;
BEGIN
    SELECT m.body INTO stored FROM messages m WHERE m.id = message AND m.direction = way FOR UPDATE;
    dropped := stored IS NOT NULL;
    IF dropped THEN
        remote := _drop_body(stored);
        UPDATE messages m SET body = NULL WHERE m.id = message AND m.direction = way;
    END IF;
END $$;
