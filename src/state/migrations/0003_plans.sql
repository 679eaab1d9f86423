-- Rows of two definitions: what a forward-only snapshot keeps of the table before it.
ALTER TABLE siding_snapshots ADD COLUMN forward_only TEXT;

-- What somebody wanted filled again, written down in the transaction that clears it. A row is open while something of
-- its range is missing.
CREATE TABLE siding_restatements (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    plan_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    restated_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (name, version, start_at, end_at)
);

UPDATE siding_state SET version = 3;
