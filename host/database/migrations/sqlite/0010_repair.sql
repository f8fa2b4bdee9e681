-- Alerts to the operator, and restored stores. Written by the crate fangshi-journal alone. Codes, ids, counts and times
-- only: nothing here is sealed, and nothing of a shop or a buyer is in it.

-- What the operator is to be told. What happens again while it waits to be told is counted in the same row.
CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,                      -- run-parked, deadline-near, tenant-stopped, breaker-open, backlog-old
    tenant_id   INTEGER NOT NULL,                   -- 0: the host itself
    subject     TEXT NOT NULL,                      -- a code or an id: why parked, which run, how stopped
    count       INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    ended_at    INTEGER,                            -- of a condition: when it held no longer; of the others: at once
    tries       INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL,                   -- not sent before this
    sent_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX alerts_waiting ON alerts (kind, tenant_id, subject) WHERE sent_at IS NULL;
CREATE INDEX alerts_due ON alerts (next_at) WHERE sent_at IS NULL;
CREATE INDEX alerts_open ON alerts (kind, tenant_id) WHERE ended_at IS NULL;

-- Stores that came from a backup. While the newest row has no released_at the store is held: no lane works.
CREATE TABLE restores (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    restored_at  INTEGER NOT NULL,
    until_seq    INTEGER NOT NULL,                  -- events up to this one were in the backup
    tokens_at    INTEGER,                           -- when the platform's list of accounts was read again
    orders_at    INTEGER,                           -- when the orders of unfinished events were read again
    orders       INTEGER NOT NULL DEFAULT 0,        -- how many of them
    unreadable   INTEGER NOT NULL DEFAULT 0,        -- and how many the platform does not show any more
    released_at  INTEGER
) STRICT;
