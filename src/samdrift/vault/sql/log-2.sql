-- Refused envelopes, to be found without reading the whole log (vault/logbook.py). The form of an entry
-- is canonical, and a quotation mark inside a value is escaped: nobody's facts can look like this.
CREATE INDEX log_refused ON log (sequence) WHERE position('"event":"ap:envelope:refused"'::bytea IN content) > 0;
