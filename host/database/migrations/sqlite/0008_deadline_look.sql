-- A wish for another SKU has its deadline in the order alone. When to look for it there, unless an attempt of the run has
-- read the order by then; null: it is known, or nobody needs it.
ALTER TABLE runs ADD COLUMN deadline_look_at INTEGER;
CREATE INDEX runs_deadline_look ON runs (deadline_look_at) WHERE deadline_look_at IS NOT NULL;

UPDATE runs SET deadline_look_at = 0
    WHERE deadline_at IS NULL AND state IN (0, 1, 4) AND order_id <> ''
    AND event_seq IN (SELECT seq FROM events WHERE ext_type = 9);
