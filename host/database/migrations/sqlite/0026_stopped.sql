-- Versions whose runs wait for a person, and faults by hook. Written by the crate fangshi-tenants alone.

-- JSON: the versions, in hex, that put the installation into quarantine and that nobody let go on since.
ALTER TABLE installations ADD COLUMN quarantined_versions TEXT NOT NULL DEFAULT '[]';
UPDATE installations SET quarantined_versions = json_array(lower(hex(digest))) WHERE quarantined_at IS NOT NULL;

-- When the operator took an approval back, unix ms; NULL: they did not, or gave it again. The same for all versions of a
-- tenant with the same bytes.
ALTER TABLE versions ADD COLUMN revoked_at INTEGER;
CREATE INDEX versions_revoked ON versions (plugin_id) WHERE revoked_at IS NOT NULL;

-- Runs of an installation's version that ended badly by its own fault, one after the other, by the hook that they called; one
-- that ended well ends the row of its hook. `installations.faults` is what a quarantine began with, and 0 without one: what
-- was counted there before did not say of which hook.
CREATE TABLE faults (
    installation_id  INTEGER NOT NULL REFERENCES installations (id),
    hook             TEXT NOT NULL,
    tenant_id        INTEGER NOT NULL REFERENCES tenants (id),
    faults           INTEGER NOT NULL,
    PRIMARY KEY (installation_id, hook)
) STRICT, WITHOUT ROWID;
UPDATE installations SET faults = 0 WHERE quarantined_at IS NULL;
