-- Versions that the operator approved. Written by the crate fangshi-tenants alone.

-- When, unix ms, and who, as in the audit; NULL: not yet. The same for all versions of a tenant with the same bytes.
ALTER TABLE versions ADD COLUMN approved_at INTEGER;
ALTER TABLE versions ADD COLUMN approved_by TEXT;
CREATE INDEX versions_unapproved ON versions (id) WHERE approved_at IS NULL;
