-- Grows with every lease that is given, so that a later holder always has a higher number.
ALTER TABLE siding_state ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;

-- Who may write something now: the rows of a table, or an environment's record and views.
CREATE TABLE siding_leases (
    subject TEXT NOT NULL PRIMARY KEY,
    fence BIGINT NOT NULL,
    holder TEXT NOT NULL,
    label TEXT NOT NULL,
    process TEXT NOT NULL,
    taken_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX siding_leases_holder ON siding_leases (holder);

-- Plans that are being applied, with what they use: the janitor leaves that alone.
CREATE TABLE siding_open_plans (
    holder TEXT NOT NULL PRIMARY KEY,
    plan_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    label TEXT NOT NULL,
    process TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    snapshots TEXT NOT NULL
);

-- What the views of an environment are called, where not `schema`.
CREATE TABLE siding_environment_namings (
    environment TEXT NOT NULL PRIMARY KEY,
    naming TEXT NOT NULL
);

-- What each batch took; only what the estimates of a plan need is kept.
CREATE TABLE siding_batches (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    environment TEXT NOT NULL,
    units BIGINT NOT NULL,
    row_count BIGINT,
    byte_count BIGINT,
    milliseconds BIGINT NOT NULL,
    PRIMARY KEY (name, version, start_at, end_at, finished_at)
);

CREATE INDEX siding_batches_finished ON siding_batches (name, finished_at);

-- Everything of ours in the warehouse, written down before it is made: schemas (without a name), views of
-- environments, physical tables and views, temporary objects. A part that a name lacks is ''.
CREATE TABLE siding_ledger (
    table_catalog TEXT NOT NULL,
    table_schema TEXT NOT NULL,
    table_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT,
    environment TEXT NOT NULL,
    reason TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    dropped_at BIGINT,
    drop_tried_at BIGINT,
    drop_error TEXT,
    PRIMARY KEY (table_catalog, table_schema, table_name)
);

CREATE INDEX siding_ledger_environment ON siding_ledger (environment);

INSERT INTO siding_ledger (
    table_catalog, table_schema, table_name, kind, model, environment, reason, recorded_at, dropped_at)
SELECT table_catalog, table_schema, table_name, kind, name, '', 'an earlier release', created_at, dropped_at
FROM siding_objects;

UPDATE siding_state SET version = 4;
