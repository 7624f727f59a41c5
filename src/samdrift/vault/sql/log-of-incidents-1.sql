-- Incidents of the operator's, to be found without reading the whole log (vault/logbook.py). The form of an
-- entry is canonical, and a quotation mark inside a value is escaped: nobody's facts can look like this.
CREATE INDEX log_of_incidents ON log (sequence) WHERE position('"event":"gov:incident:'::bytea IN content) > 0;
