-- Custody of buyer data, and the end of a tenant's life. Written by the crate fangshi-tenants alone; the indexes at the end
-- belong to tables of the journal.

-- How many decodes the host asks the platform for in a day (Asia/Shanghai).
ALTER TABLE tenants ADD COLUMN decode_budget INTEGER NOT NULL DEFAULT 30;

-- The last answer of a decode, one row an order, shared by the tenant's installations that are granted it. The address
-- it belongs to is inside the seal: a digest of a masked address could be guessed.
CREATE TABLE decoded (
    tenant_id    INTEGER NOT NULL,
    order_id     TEXT NOT NULL,
    version      INTEGER NOT NULL,                  -- raised by every new answer
    answer       BLOB,                              -- sealed JSON: address mark, times, answer; null before the first
    lease_owner  TEXT,                              -- the one call that is under way for this version
    lease_until  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, order_id)
) STRICT;

-- Every decode: asked of the platform, or served from the row above. A live one without an answer counts: the platform
-- may have counted it.
CREATE TABLE decodes (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id        INTEGER NOT NULL,
    installation_id  INTEGER NOT NULL,
    order_id         TEXT NOT NULL,
    day              INTEGER NOT NULL,              -- days of Asia/Shanghai since 1970-01-01
    live             INTEGER NOT NULL,              -- 1 asked of the platform, 0 served from what was kept
    outcome          INTEGER NOT NULL,              -- 0 asked, no answer yet or lost; 1 answered; 2 refused, not counted
    at               INTEGER NOT NULL
) STRICT;
CREATE INDEX decodes_by_day ON decodes (tenant_id, day);

-- Deletions of tenants: begun in the transaction that destroys the data key, ended when no row of the tenant is left.
-- The row stays: a number, two times, no data.
CREATE TABLE deletions (
    tenant_id    INTEGER NOT NULL PRIMARY KEY,
    begun_at     INTEGER NOT NULL,
    finished_at  INTEGER
) STRICT;

-- Of an account whose tenant was deleted: when, unix seconds of the host. Its list entry and events that are no younger
-- make no tenant of it again; an authorization that is, takes the mark away. The appid stays for that.
ALTER TABLE authorizers ADD COLUMN deleted_s INTEGER;

-- calls.origin has a fourth value from here on: 3 answered from a decode that was kept, nothing sent.

-- What points to an effect or a snapshot, so that deleting one does not read the whole journal.
CREATE INDEX calls_effect ON calls (effect_id) WHERE effect_id IS NOT NULL;
CREATE INDEX calls_snapshot ON calls (snapshot_id) WHERE snapshot_id IS NOT NULL;
CREATE INDEX attempts_snapshot ON attempts (snapshot_id) WHERE snapshot_id IS NOT NULL;
CREATE INDEX effects_before ON effects (before_id) WHERE before_id IS NOT NULL;
