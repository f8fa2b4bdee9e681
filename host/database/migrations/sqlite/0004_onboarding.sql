-- Onboarding: how shops come to the host through the operator's component, and what the platform last said of them.
-- Written by the crate fangshi-tenants alone.
--
-- Columns marked "sealed" are sealed for tenant 0 and bound to their table, column and row. Times *_at are unix
-- milliseconds of the host's clock, *_s unix seconds of the platform.

-- What the merchant granted: JSON list of permission set ids; null: unknown (self-built, or moved in).
ALTER TABLE tenants ADD COLUMN permission_sets TEXT;

-- The version for which a refused refresh token was asked for again: once per version.
ALTER TABLE tokens ADD COLUMN recovered_version INTEGER;
-- Of the ticket: when the platform was last asked to push tickets again.
ALTER TABLE tokens ADD COLUMN asked_at INTEGER NOT NULL DEFAULT 0;

-- One authorization link.
CREATE TABLE authorizations (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    nonce_digest     BLOB NOT NULL UNIQUE,          -- sha256 of the random part of the link's address
    pre_auth_code    BLOB NOT NULL,                 -- sealed, row: nonce_digest
    pre_auth_digest  BLOB NOT NULL,                 -- sha256: an event that names the code finds its link
    auth_type        INTEGER,
    biz_appid        TEXT,
    redirect         TEXT,                          -- where the merchant's browser goes afterwards
    requested_by     TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    state            TEXT NOT NULL,                 -- waiting, working, done, failed
    appid            TEXT,                          -- who authorized, once known
    tenant_id        INTEGER,
    reason           TEXT,                          -- code: why it failed, or what hinders it
    ended_at         INTEGER,
    code             BLOB,                          -- sealed, row: nonce_digest; the redirect's auth_code until used
    code_digest      BLOB,
    asked            INTEGER NOT NULL DEFAULT 0,    -- 1: api_query_auth was sent, the code may be spent
    work             INTEGER NOT NULL DEFAULT 0,    -- 1: something is to be done
    work_no          INTEGER NOT NULL DEFAULT 0,    -- raised with every new work: a late step writes nothing
    tries            INTEGER NOT NULL DEFAULT 0,
    next_at          INTEGER NOT NULL DEFAULT 0     -- not before this; while somebody works on it, when it is taken back
) STRICT;
CREATE INDEX authorizations_due ON authorizations (next_at) WHERE work = 1;
CREATE INDEX authorizations_pre_auth ON authorizations (pre_auth_digest);
CREATE INDEX authorizations_appid ON authorizations (appid) WHERE appid IS NOT NULL;

-- One account that ever authorized the component: shops and others.
CREATE TABLE authorizers (
    appid            TEXT NOT NULL PRIMARY KEY,
    standing         TEXT NOT NULL,                 -- granted, revoked: the platform's last word
    changed_s        INTEGER NOT NULL,              -- when it was said; an older word changes nothing
    verdict          TEXT,                          -- shop, other; null: not looked at yet
    tenant_id        INTEGER,
    listed_at        INTEGER NOT NULL DEFAULT 0,    -- the last walk of the list that met it
    code             BLOB,                          -- sealed, row: appid; the event's AuthorizationCode until used
    code_digest      BLOB,
    refresh          BLOB,                          -- sealed, row: appid; a refresh token until it is planted
    work             TEXT,                          -- ask, revoke; null: nothing to do
    work_no          INTEGER NOT NULL DEFAULT 0,
    tries            INTEGER NOT NULL DEFAULT 0,
    next_at          INTEGER NOT NULL DEFAULT 0,
    problem          TEXT,                          -- of the last try
    updated_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX authorizers_due ON authorizers (next_at) WHERE work IS NOT NULL;
