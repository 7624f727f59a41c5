-- Steps in the lives of messages, to be followed without reading the whole log (vault/logbook.py). The form
-- of an entry is canonical, and a quotation mark inside a value is escaped: nobody's facts can look like this.
CREATE INDEX log_of_messages ON log (sequence) WHERE position('"event":"mt:message:'::bytea IN content) > 0;
