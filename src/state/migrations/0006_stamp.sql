-- Another one after everything that is written; none comes twice.
ALTER TABLE siding_state ADD COLUMN stamp TEXT NOT NULL DEFAULT '';

UPDATE siding_state SET version = 6;
