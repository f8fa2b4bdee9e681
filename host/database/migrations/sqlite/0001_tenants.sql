-- Who: tenants, their keys and tokens, plugins, versions, installations. Written by the crate fangshi-tenants alone.
--
-- Columns marked "sealed" are bound to their table, column, tenant and row. Times *_at are unix milliseconds of the
-- host's clock. Tenant 0 is the host itself.

-- Which key-encryption key the store is sealed under: one row, from the first start on.
CREATE TABLE key_check (
    kek_id       TEXT NOT NULL PRIMARY KEY,
    check_value  BLOB NOT NULL,                     -- a known text sealed under that key
    created_at   INTEGER NOT NULL
) STRICT;

-- The data keys. Deleting a tenant's rows here makes everything sealed for it unreadable, backups apart.
CREATE TABLE data_keys (
    tenant_id    INTEGER NOT NULL,
    key_version  INTEGER NOT NULL,
    wrapped      BLOB NOT NULL,                     -- sealed under the key-encryption key
    kek_id       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, key_version)
) STRICT;

CREATE TABLE tenants (
    id                         INTEGER PRIMARY KEY AUTOINCREMENT,
    platform                   TEXT NOT NULL,       -- weixin
    kind                       TEXT NOT NULL,       -- authorized, self-built, card-shop
    appid                      TEXT NOT NULL,
    user_name                  TEXT,                -- the shop's original id, gh_…
    name                       BLOB NOT NULL,       -- sealed
    state                      TEXT NOT NULL,       -- active, suspended
    suspended_reason           TEXT,
    suspended_since            INTEGER,
    appsecret                  BLOB,                -- sealed; self-built
    callback_token             BLOB,                -- sealed; self-built
    encoding_aes_key           BLOB,                -- sealed; self-built
    previous_encoding_aes_key  BLOB,                -- sealed; self-built
    created_at                 INTEGER NOT NULL,
    updated_at                 INTEGER NOT NULL,
    UNIQUE (platform, appid)
) STRICT;

-- One row per tenant and kind of token: access (every tenant), component and ticket (tenant 0). The sealed columns are
-- bound to the row's version as well, and all are written together.
CREATE TABLE tokens (
    tenant_id         INTEGER NOT NULL,
    kind              TEXT NOT NULL,                -- access, component, ticket
    version           INTEGER NOT NULL,             -- raised by every new token
    access            BLOB,                         -- sealed
    refresh           BLOB,                         -- sealed
    previous_refresh  BLOB,                         -- sealed; tried if the platform refuses the one after it
    issued_at         INTEGER NOT NULL,
    refresh_at        INTEGER NOT NULL,             -- due from here on, while the token still works
    expires_at        INTEGER NOT NULL,             -- 0: refused by the platform, or none
    lease_owner       TEXT,                         -- the process that refreshes this version
    lease_until       INTEGER NOT NULL DEFAULT 0,
    refused_code      INTEGER,                      -- the platform wants a new authorization
    refused_message   TEXT,
    refused_at        INTEGER,
    PRIMARY KEY (tenant_id, kind)
) STRICT;

CREATE TABLE plugins (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id   INTEGER NOT NULL REFERENCES tenants (id),
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

-- The bytes of components, once per tenant. A component is the merchant's code: sealed like its data.
CREATE TABLE components (
    tenant_id   INTEGER NOT NULL REFERENCES tenants (id),
    digest      BLOB NOT NULL,                      -- sha256 of the bytes, 32 bytes
    wasm        BLOB NOT NULL,                      -- sealed
    PRIMARY KEY (tenant_id, digest)
) STRICT;

CREATE TABLE versions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id    INTEGER NOT NULL,
    plugin_id    INTEGER NOT NULL REFERENCES plugins (id),
    digest       BLOB NOT NULL,
    size         INTEGER NOT NULL,                  -- bytes of the component
    hooks        TEXT NOT NULL,                     -- JSON: the hooks it exports
    grants       TEXT NOT NULL,                     -- JSON: the interfaces it imports, with their functions
    uploaded_at  INTEGER NOT NULL,
    UNIQUE (plugin_id, digest),
    FOREIGN KEY (tenant_id, digest) REFERENCES components (tenant_id, digest)
) STRICT;
CREATE INDEX versions_by_digest ON versions (tenant_id, digest);

CREATE TABLE installations (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id   INTEGER NOT NULL REFERENCES tenants (id),
    plugin_id   INTEGER NOT NULL,
    digest      BLOB NOT NULL,                      -- the version
    state       TEXT NOT NULL,                      -- active, paused, removed
    settings    BLOB NOT NULL,                      -- sealed JSON
    limits      TEXT NOT NULL,                      -- JSON
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    removed_at  INTEGER,
    FOREIGN KEY (plugin_id, digest) REFERENCES versions (plugin_id, digest)
) STRICT;
CREATE INDEX installations_by_tenant ON installations (tenant_id, state, id);

-- What an installation may use: the interfaces granted by name.
CREATE TABLE grants (
    installation_id  INTEGER NOT NULL REFERENCES installations (id),
    name             TEXT NOT NULL,
    PRIMARY KEY (installation_id, name)
) STRICT;

-- Which version of an installation hears which hook, by place in the sequence of events: what a run is pinned to is
-- what was active at its event, however late the lane looks at it. Written with every change of an installation; read
-- by the journal, when an event is recorded and when its runs are made.
CREATE TABLE subscriptions (
    tenant_id       INTEGER NOT NULL,
    hook            TEXT NOT NULL,                  -- on-pay
    installation_id INTEGER NOT NULL,
    version         BLOB NOT NULL,                  -- sha256 of the component
    from_seq        INTEGER NOT NULL,               -- hears events after this one
    until_seq       INTEGER,                        -- and none after this one; null: still hears them
    PRIMARY KEY (tenant_id, hook, installation_id, from_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscriptions_installation ON subscriptions (installation_id);

-- Refused callbacks, counted per tenant and reason: a wrong clock or original id must not lose a shop silently.
CREATE TABLE refusals (
    tenant_id  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    count      INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, reason)
) STRICT;
