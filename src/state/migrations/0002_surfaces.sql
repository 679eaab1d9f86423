-- What readers of a snapshot see, as digests, and who decided about its category. Snapshots from before have no
-- surface: the next plan builds their tables again.
ALTER TABLE siding_snapshots ADD COLUMN surface TEXT;
ALTER TABLE siding_snapshots ADD COLUMN choice TEXT;

UPDATE siding_state SET version = 2;
