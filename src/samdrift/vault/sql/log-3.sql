-- Index for following steps in the lives of messages without reading the whole log (vault/logbook.py). The
-- form of an entry is canonical, and quotation marks inside values are escaped, so no facts can look like
-- this.
CREATE INDEX log_of_messages ON log (sequence) WHERE position('"event":"mt:message:'::bytea IN content) > 0;
