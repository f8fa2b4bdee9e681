-- Who did what, and who may: the audit, tokens and links. Written by the crate fangshi-tenants alone.
--
-- Columns marked "sealed" are bound to their table, column, tenant and row. Times *_at are unix milliseconds of the
-- host's clock. Tenant 0 is the host itself.

-- One chain for the whole host. Each hash covers the number, the time, the codes and ids, the digest of the details and
-- the hash before it, and nothing sealed: the chain still verifies when a tenant's data key is gone.
CREATE TABLE audit (
    number          INTEGER PRIMARY KEY,            -- 1, 2, 3, … without a gap
    at              INTEGER NOT NULL,
    actor           TEXT NOT NULL,                  -- system, operator, operator:k1, merchant:k2
    action          TEXT NOT NULL,
    tenant_id       INTEGER NOT NULL,
    subjects        TEXT NOT NULL,                  -- ids, a space between
    details_digest  BLOB,                           -- sha256 of the salted details; null without details
    details         BLOB,                           -- sealed: a salt of 16 bytes, then JSON
    prev            BLOB NOT NULL,                  -- the hash of the entry before; zeros for the first
    hash            BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant_id, number);

-- Against slips of the hand. Whoever may write the file can drop them: the chain is what tells.
CREATE TRIGGER audit_keeps_what_it_says BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_keeps_its_entries BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
-- REPLACE would delete without the trigger above.
CREATE TRIGGER audit_goes_on_at_its_end BEFORE INSERT ON audit
WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

-- Tokens of the admin API and sessions of the merchant page. A token itself is never stored.
CREATE TABLE access_tokens (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    role          TEXT NOT NULL,                    -- operator, merchant
    tenant_id     INTEGER NOT NULL,                 -- a merchant's; 0 for operators
    door          TEXT NOT NULL,                    -- api, page
    digest        BLOB NOT NULL UNIQUE,             -- sha256 of the token
    label         BLOB NOT NULL,                    -- sealed
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    last_used_at  INTEGER,                          -- within the hour
    revoked_at    INTEGER
) STRICT;

-- Links to the merchant page: good for one entry until they expire.
CREATE TABLE links (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id   INTEGER NOT NULL,
    digest      BLOB NOT NULL UNIQUE,               -- sha256 of the secret
    purpose     BLOB NOT NULL,                      -- sealed
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT;
