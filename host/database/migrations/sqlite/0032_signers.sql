-- Who signed a version. Written by the crate fangshi-tenants alone.

-- The minisign public key whose signature came with these bytes, as the config names it; NULL: none was asked for. The same for
-- all versions of a tenant with the same bytes.
ALTER TABLE versions ADD COLUMN signed_by TEXT;
