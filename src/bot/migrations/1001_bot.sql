-- What the server must not forget. Times are milliseconds since 1970 in UTC, ids of repositories,
-- installations, comments and check runs are GitHub's numbers.

-- The inbox: every webhook that was genuine, as it came.
CREATE TABLE bot_deliveries (
    guid TEXT PRIMARY KEY NOT NULL,
    event TEXT NOT NULL,
    action TEXT NOT NULL DEFAULT '',
    installation INTEGER,
    repository INTEGER,
    received_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    handled_at INTEGER,
    error TEXT
);
CREATE INDEX bot_deliveries_received ON bot_deliveries (received_at);

CREATE TABLE bot_repositories (
    id INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    installation INTEGER NOT NULL,
    active INTEGER NOT NULL DEFAULT 1
);

-- Work per pull request, done in the order of `id`.
CREATE TABLE bot_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    repository INTEGER NOT NULL,
    pr INTEGER NOT NULL,
    kind TEXT NOT NULL,
    head TEXT,
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'superseded')),
    attempts INTEGER NOT NULL DEFAULT 0,
    run_after INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL
);
CREATE INDEX bot_jobs_open ON bot_jobs (repository, pr, id) WHERE state IN ('queued', 'running');

CREATE TABLE bot_pull_requests (
    repository INTEGER NOT NULL,
    number INTEGER NOT NULL,
    head TEXT NOT NULL,
    base_ref TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'merged')),
    environment TEXT,
    policy TEXT,
    gate TEXT,
    PRIMARY KEY (repository, number)
);

-- What came out of preparing a commit; the newest row of a head counts.
CREATE TABLE bot_plans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repository INTEGER NOT NULL,
    pr INTEGER NOT NULL,
    head TEXT NOT NULL,
    base TEXT NOT NULL,
    tree TEXT NOT NULL,
    outcome TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (repository, pr, head, base)
);

CREATE TABLE bot_promotions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repository INTEGER NOT NULL,
    pr INTEGER NOT NULL,
    head TEXT NOT NULL,
    state TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    comment INTEGER,
    line INTEGER NOT NULL DEFAULT 0,
    merge TEXT,
    detail TEXT NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX bot_promotions_pull ON bot_promotions (repository, pr, id);

-- One promotion at a time per project.
CREATE TABLE bot_locks (
    project INTEGER PRIMARY KEY NOT NULL,
    promotion INTEGER NOT NULL
);

-- What GitHub shall show. A row is sent until `sent_hash` is `desired_hash`.
CREATE TABLE bot_outbox (
    repository INTEGER NOT NULL,
    pr INTEGER NOT NULL,
    target TEXT NOT NULL,
    desired TEXT NOT NULL,
    desired_hash TEXT NOT NULL,
    sent_hash TEXT,
    sent_completed INTEGER NOT NULL DEFAULT 0,
    remote_id INTEGER,
    attempt INTEGER NOT NULL DEFAULT 1,
    failures INTEGER NOT NULL DEFAULT 0,
    next_try INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    PRIMARY KEY (repository, pr, target)
);
CREATE INDEX bot_outbox_unsent ON bot_outbox (next_try) WHERE sent_hash IS NOT desired_hash;

-- Commands that were answered: a comment is obeyed once.
CREATE TABLE bot_commands (
    comment INTEGER NOT NULL,
    line INTEGER NOT NULL,
    repository INTEGER NOT NULL,
    pr INTEGER NOT NULL,
    login TEXT NOT NULL,
    text TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (comment, line)
);

-- Process groups of jobs that run, to end those that outlive a killed server.
CREATE TABLE bot_children (
    pid INTEGER PRIMARY KEY NOT NULL,
    started TEXT NOT NULL
);

CREATE TABLE bot_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    repository INTEGER NOT NULL,
    pr INTEGER NOT NULL,
    actor TEXT NOT NULL,
    what TEXT NOT NULL
);
