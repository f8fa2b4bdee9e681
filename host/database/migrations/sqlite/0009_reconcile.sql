-- Reconciliation: what is known of each order, how far the passes came, which events they made. Written by the crate
-- fangshi-journal alone. Columns marked "sealed" are bound to their table, column, tenant and row.

-- An order as the last reading that counted showed it: the snapshot that the next one is compared with.
CREATE TABLE known_orders (
    tenant_id    INTEGER NOT NULL,
    order_id     TEXT NOT NULL,
    status       INTEGER NOT NULL,                  -- the platform's
    update_time  INTEGER NOT NULL,                  -- unix seconds, the platform's
    read_at      INTEGER NOT NULL,                  -- unix ms: when it was asked for
    seen_seq     INTEGER,                           -- events.seq: the newest that was weighed with it; null: none
    look_at      INTEGER,                           -- unix ms: to be read again then, whatever the list says
    facts        BLOB NOT NULL,                     -- sealed JSON: times, and digests of the parts that matter
    PRIMARY KEY (tenant_id, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_orders_look ON known_orders (tenant_id, look_at) WHERE look_at IS NOT NULL;

-- Events that reconciliation made (events.source 1): a late callback of the same order, Event and type that is no newer
-- than the reading is absorbed by one of them.
CREATE TABLE reconciled (
    tenant_id    INTEGER NOT NULL,
    order_id     TEXT NOT NULL,
    event_seq    INTEGER NOT NULL,                  -- events.seq
    event        TEXT NOT NULL,
    ext_type     INTEGER,
    since        INTEGER NOT NULL,                  -- update_time of the reading before, unix seconds; 0: none
    update_time  INTEGER NOT NULL,                  -- of the reading that showed the change, unix seconds
    matched_by   INTEGER,                           -- events.seq of the callback that came late and was absorbed
    PRIMARY KEY (tenant_id, order_id, event_seq)
) STRICT, WITHOUT ROWID;

-- Changes of status that the platform's state chart does not have.
CREATE TABLE transitions (
    tenant_id    INTEGER NOT NULL,
    order_id     TEXT NOT NULL,
    update_time  INTEGER NOT NULL,
    from_status  INTEGER NOT NULL,
    to_status    INTEGER NOT NULL,
    known        INTEGER NOT NULL,                  -- 1: not in the guide's chart, but known from elsewhere
    seen_at      INTEGER NOT NULL,                  -- unix ms
    PRIMARY KEY (tenant_id, order_id, update_time, from_status, to_status)
) STRICT, WITHOUT ROWID;
CREATE INDEX transitions_seen ON transitions (tenant_id, seen_at);

-- How a tenant's passes stand. The platform's own cursor is part of it.
CREATE TABLE reconciliations (
    tenant_id    INTEGER NOT NULL PRIMARY KEY,
    standing     BLOB NOT NULL                      -- sealed JSON
) STRICT;
