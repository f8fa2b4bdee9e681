-- Installations that the host pauses because they fail again and again. Written by the crate fangshi-tenants alone.

-- Runs of its version that ended badly by its own fault, one after the other; one that ended well takes it back to 0.
ALTER TABLE installations ADD COLUMN faults INTEGER NOT NULL DEFAULT 0;
-- Since when the host keeps it paused for them, unix ms; NULL: it does not.
ALTER TABLE installations ADD COLUMN quarantined_at INTEGER;
-- The last of them: the code of its outcome, the host's own words with the figure (never the plugin's), its run.
ALTER TABLE installations ADD COLUMN fault_outcome TEXT;
ALTER TABLE installations ADD COLUMN fault_figure TEXT;
ALTER TABLE installations ADD COLUMN fault_run INTEGER;
CREATE INDEX installations_quarantined ON installations (quarantined_at) WHERE quarantined_at IS NOT NULL;
