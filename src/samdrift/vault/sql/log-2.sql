-- Index for finding refused envelopes without reading the whole log (vault/logbook.py). The form of an entry
-- is canonical, and quotation marks inside values are escaped, so no facts can look like this.
CREATE INDEX log_refused ON log (sequence) WHERE position('"event":"ap:envelope:refused"'::bytea IN content) > 0;
