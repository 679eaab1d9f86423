-- Instants are milliseconds since 1970 in UTC.

-- The version of the tables below; every migration raises it.
CREATE TABLE siding_state (
    version BIGINT NOT NULL
);

INSERT INTO siding_state (version) VALUES (1);

-- A model at one version. Only updated_at ever changes: it restarts the time to live.
CREATE TABLE siding_snapshots (
    name TEXT NOT NULL,
    identifier TEXT NOT NULL,
    version TEXT NOT NULL,
    category TEXT NOT NULL,
    data_hash TEXT NOT NULL,
    metadata_hash TEXT NOT NULL,
    parent_data_hash TEXT NOT NULL,
    parent_metadata_hash TEXT NOT NULL,
    model TEXT NOT NULL,
    parents TEXT NOT NULL,
    columns TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name, identifier)
);

CREATE INDEX siding_snapshots_version ON siding_snapshots (name, version);

-- What was filled and cleared, in order of id; half-open.
CREATE TABLE siding_intervals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    removed BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX siding_intervals_version ON siding_intervals (name, version);

CREATE TABLE siding_environments (
    name TEXT NOT NULL PRIMARY KEY,
    plan_id TEXT NOT NULL,
    previous_plan_id TEXT,
    promoted_by TEXT NOT NULL,
    promoted_at BIGINT NOT NULL,
    finalized_at BIGINT,
    expires_at BIGINT
);

CREATE TABLE siding_environment_snapshots (
    environment TEXT NOT NULL REFERENCES siding_environments (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    identifier TEXT NOT NULL,
    version TEXT NOT NULL,
    table_catalog TEXT,
    table_schema TEXT,
    table_name TEXT,
    has_view BOOLEAN NOT NULL,
    PRIMARY KEY (environment, name)
);

CREATE INDEX siding_environment_snapshots_snapshot
    ON siding_environment_snapshots (name, identifier);

-- Every promotion that ever was; only finalized_at is filled in later.
CREATE TABLE siding_promotions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    previous_plan_id TEXT,
    promoted_by TEXT NOT NULL,
    promoted_at BIGINT NOT NULL,
    finalized_at BIGINT,
    snapshots TEXT NOT NULL
);

CREATE INDEX siding_promotions_environment ON siding_promotions (environment, id);

CREATE INDEX siding_promotions_plan ON siding_promotions (plan_id);

-- Tables and views of ours in the warehouse, written down before they are made.
-- A part that a name lacks is '': NULL is never equal to itself in a key.
CREATE TABLE siding_objects (
    table_catalog TEXT NOT NULL,
    table_schema TEXT NOT NULL,
    table_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    dropped_at BIGINT,
    PRIMARY KEY (table_catalog, table_schema, table_name)
);

CREATE INDEX siding_objects_version ON siding_objects (name, version);
