-- Index for finding the operator's incidents without reading the whole log (vault/logbook.py). The form of an
-- entry is canonical, and quotation marks inside values are escaped, so no facts can look like this.
CREATE INDEX log_of_incidents ON log (sequence) WHERE position('"event":"gov:incident:'::bytea IN content) > 0;
