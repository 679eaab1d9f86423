-- Rows as the release with migration 1 wrote them. Never changed: later releases must read them.
INSERT INTO siding_snapshots (
    name, identifier, version, category, data_hash, metadata_hash, parent_data_hash, parent_metadata_hash,
    model, parents, columns, created_at, updated_at
) VALUES (
    'db.orders', 'i1', 'v1', 'non_breaking', 'd-i1', 'm-i1', 'pd-i1', 'pm-i1',
    '{"name":"db.orders","kind":{"kind":"FULL"},"dialect":"duckdb","query":"SELECT id FROM db.raw","description":"it''s \"one\"","owner":null,"tags":["a"],"cron":"@daily","interval_unit":null,"start":null,"end":null,"grains":[["id"]],"columns":null,"column_descriptions":{},"audits":[],"depends_on":["db.raw"],"project":"","stamp":null,"file":"models/a.sql"}',
    '[{"name":"db.raw","identifier":"i0"}]', '["id"]', 7, 8);

INSERT INTO siding_intervals (name, version, start_at, end_at, removed, created_at) VALUES
    ('db.orders', 'v1', 0, 100, FALSE, 8),
    ('db.orders', 'v1', 50, 70, TRUE, 9);

INSERT INTO siding_environments VALUES ('dev', 'plan-1', NULL, 'alice', 10, 11, 1000);

INSERT INTO siding_environment_snapshots VALUES (
    'dev', 'db.orders', 'i1', 'v1', NULL, 'siding__db', 'db__orders__v1', TRUE);

INSERT INTO siding_promotions (
    environment, plan_id, previous_plan_id, promoted_by, promoted_at, finalized_at, snapshots)
VALUES (
    'dev', 'plan-1', NULL, 'alice', 10, 11,
    '[{"id":{"name":"db.orders","identifier":"i1"},"version":"v1","table":{"schema":"siding__db","name":"db__orders__v1"},"view":true}]');

INSERT INTO siding_objects VALUES (
    '', 'siding__db', 'db__orders__v1', 'table', 'db.orders', 'v1', 9, NULL);
