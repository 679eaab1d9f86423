-- When a model's table was filled again by itself last.
CREATE TABLE siding_auto_restatements (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    restated_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

UPDATE siding_state SET version = 5;
