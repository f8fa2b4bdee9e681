-- The journal: what happened. Written by the crate fangshi-journal alone.
--
-- Columns marked "sealed" hold platform or merchant data under the tenant's data key; they are bound to their table,
-- column, tenant and row. Everything else is an id, a code, a time or a digest. Digests of requests and kv keys are
-- keyed with the tenant's salt (table salts), so that a copied file can't be searched for a phone number.
-- Times *_at and *_ms are unix milliseconds of the host's clock; events.created_at is the platform's, unix seconds.

-- One secret per tenant for keyed digests. Destroyed with the tenant's data key.
CREATE TABLE salts (
    tenant_id   INTEGER NOT NULL PRIMARY KEY,
    salt        BLOB NOT NULL                       -- sealed, 32 bytes
) STRICT;

-- One callback (or reconciled, polled, scheduled, manual event): decrypted, deduplicated, durable.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in every lane
    tenant_id   INTEGER NOT NULL,
    order_id    TEXT NOT NULL,                      -- '' without an order
    event       TEXT NOT NULL,                      -- the platform's Event
    ext_type    INTEGER,                            -- order_info.type of channels_ec_order_ext_info_update
    source      INTEGER NOT NULL,                   -- 0 callback, 1 reconciled, 2 poll, 3 schedule, 4 manual
    created_at  INTEGER NOT NULL,                   -- CreateTime, unix seconds
    received_at INTEGER NOT NULL,
    dedup       BLOB NOT NULL,                      -- CreateTime and a digest of what makes the event this event
    body        BLOB NOT NULL,                      -- sealed: canonical JSON of the message
    state       INTEGER NOT NULL DEFAULT 0,         -- 0 recorded, 1 planned (its runs exist), 2 finished (or unheard)
    planned_at  INTEGER,
    finished_at INTEGER,
    echo_of     INTEGER,                            -- effects.id that explains this event
    UNIQUE (dedup, tenant_id)
) STRICT;
-- Keys and order ids grow with time: these indexes grow at their ends, where an acknowledgement costs least. With the
-- tenant first, every group of acknowledgements would write a page for each of its tenants.
CREATE INDEX events_order ON events (order_id, tenant_id);
CREATE INDEX events_piece ON events (seq >> 12, tenant_id);
-- Partial indexes begin with the state so that the planner prefers them; they hold what is not finished only.
CREATE INDEX events_recorded ON events (state, tenant_id, order_id) WHERE state = 0;
CREATE INDEX events_planned ON events (state, received_at) WHERE state = 1;
CREATE INDEX events_echo ON events (echo_of) WHERE echo_of IS NOT NULL;

-- One order of one tenant. The epoch is the fence: raised by every drain, carried by every intent, outcome and run end.
CREATE TABLE lanes (
    tenant_id   INTEGER NOT NULL,
    order_id    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    entries     INTEGER NOT NULL,                   -- drains since an attempt last ended: many mean a drain kills the host
    entered_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, order_id)
) STRICT, WITHOUT ROWID;

-- One event × one installation, pinned to a version.
CREATE TABLE runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    event_seq       INTEGER NOT NULL REFERENCES events (seq),
    tenant_id       INTEGER NOT NULL,
    order_id        TEXT NOT NULL,
    installation_id INTEGER NOT NULL,
    version         BLOB NOT NULL,                  -- sha256 of the component
    hook            TEXT NOT NULL,
    state           INTEGER NOT NULL,               -- 0 ready, 1 waiting for a retry, 2 done, 3 rejected, 4 parked
    reason          TEXT,                           -- code: how the last attempt ended, or why it is parked
    attempts        INTEGER NOT NULL DEFAULT 0,     -- ended attempts
    budget_from     INTEGER NOT NULL DEFAULT 0,     -- attempts before the last repair: the schedule counts from here
    first_at        INTEGER,                        -- start of the first attempt of the budget
    next_at         INTEGER NOT NULL,               -- not before this
    deadline_at     INTEGER,                        -- the platform decides by itself then
    repaired_at     INTEGER,                        -- run again by a person: may be out of order
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    alerted_at      INTEGER,                        -- when the operator was told that deadline_at is near
    UNIQUE (event_seq, installation_id)
) STRICT;
CREATE INDEX runs_open ON runs (tenant_id, order_id, event_seq) WHERE state < 2;
CREATE INDEX runs_due ON runs (next_at) WHERE state < 2;
CREATE INDEX runs_deadline ON runs (deadline_at)
    WHERE deadline_at IS NOT NULL AND alerted_at IS NULL AND state <> 2 AND state <> 3;
CREATE INDEX runs_parked ON runs (state, tenant_id) WHERE state = 4;
CREATE INDEX runs_tenant ON runs (tenant_id);
CREATE INDEX runs_order ON runs (tenant_id, order_id);

-- One fresh execution of a run. ended_at is null while it runs, and after a crash: then it is resumed.
CREATE TABLE attempts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    number      INTEGER NOT NULL,                   -- from 1
    epoch       INTEGER NOT NULL,                   -- of the drain that started or last resumed it
    resumes     INTEGER NOT NULL DEFAULT 0,
    version     BLOB NOT NULL,
    engine      TEXT NOT NULL,                      -- engine version and flags: fuel is comparable within one
    clock_ms    INTEGER NOT NULL,                   -- the only time the guest sees
    inputs      BLOB NOT NULL,                      -- sealed JSON: settings, grants, limits, seed, is_last
    snapshot_id INTEGER REFERENCES snapshots (id),  -- the order as read before the hook
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    outcome     TEXT,                               -- done, retry-later, reject, trap, limit, deadline, divergence, …
    reason      BLOB,                               -- sealed: words of the plugin or the host
    fuel        INTEGER,
    peak_memory INTEGER,
    host_calls  INTEGER,
    log_bytes   INTEGER,
    border_bytes INTEGER,
    wall_ms     INTEGER,
    UNIQUE (run_id, number)
) STRICT;

-- Every host call of an attempt, by position. A null result is an intent that has no outcome yet.
CREATE TABLE calls (
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    attempt     INTEGER NOT NULL,
    position    INTEGER NOT NULL,                   -- from 0
    name        TEXT NOT NULL,                      -- notes/set-merchant-notes, orders/get, kv/get, kv/set
    kind        INTEGER NOT NULL,                   -- 0 read, 1 effect, 2 own (kv)
    digest      BLOB NOT NULL,                      -- keyed digest of name and canonical request
    request     BLOB NOT NULL,                      -- sealed canonical JSON
    result      TEXT,                               -- code: ok, denied, invalid, not-found, conflict, limited, …
    answer      BLOB,                               -- sealed JSON; null where a snapshot is the answer
    snapshot_id INTEGER REFERENCES snapshots (id),
    effect_id   INTEGER REFERENCES effects (id),
    origin      INTEGER NOT NULL,                   -- 0 live, 1 answered by an earlier attempt's effect, 2 settled by re-reading
    at_ms       INTEGER NOT NULL,
    took_ms     INTEGER,
    PRIMARY KEY (run_id, attempt, position)
) STRICT;

-- A host call that changes something outside: intent, then outcome. The key is (run, operation, digest of the
-- canonical request, n-th equal call); position plays no part in it.
CREATE TABLE effects (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id       INTEGER NOT NULL,
    order_id        TEXT NOT NULL,                  -- the order it changes
    installation_id INTEGER NOT NULL,
    run_id          INTEGER NOT NULL REFERENCES runs (id),
    operation       TEXT NOT NULL,                  -- notes/set-merchant-notes
    digest          BLOB NOT NULL,
    nth             INTEGER NOT NULL,               -- from 0
    attempt         INTEGER NOT NULL,               -- that made the last intent
    position        INTEGER NOT NULL,
    request         BLOB NOT NULL,                  -- sealed canonical JSON
    before_id       INTEGER REFERENCES snapshots (id), -- the order as it was known before the intent
    state           INTEGER NOT NULL,               -- 0 intent, 1 applied, 2 refused for good, 3 refused for now, 4 outcome unknown
    sends           INTEGER NOT NULL,               -- intents so far: how often it was, or may have been, sent
    unsure          INTEGER NOT NULL,               -- intents before the last that never got an answer
    result          TEXT,
    answer          BLOB,                           -- sealed JSON
    platform_code   INTEGER,
    rid             TEXT,                           -- the platform's request id, for its support
    epoch           INTEGER NOT NULL,
    intent_at       INTEGER NOT NULL,
    outcome_at      INTEGER,
    UNIQUE (run_id, operation, digest, nth)
) STRICT;
CREATE INDEX effects_order ON effects (tenant_id, order_id, intent_at);

-- An order as it was read. One row per content.
CREATE TABLE snapshots (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id   INTEGER NOT NULL,
    order_id    TEXT NOT NULL,
    digest      BLOB NOT NULL,                      -- of the JSON in body
    status      INTEGER,
    update_time INTEGER,                            -- unix seconds, the platform's
    read_at     INTEGER NOT NULL,                   -- first read
    body        BLOB NOT NULL,                      -- sealed JSON of getorder's order object
    UNIQUE (tenant_id, order_id, digest)
) STRICT;

-- Lines of the plugin's log.
CREATE TABLE logs (
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    attempt     INTEGER NOT NULL,
    line        INTEGER NOT NULL,                   -- from 0
    position    INTEGER NOT NULL,                   -- how many host calls came before
    level       INTEGER NOT NULL,                   -- 0 debug, 1 info, 2 warning, 3 error
    text        BLOB NOT NULL,                      -- sealed
    PRIMARY KEY (run_id, attempt, line)
) STRICT, WITHOUT ROWID;

-- An installation's own store; changes commit with the attempt that ends ok, or not at all.
CREATE TABLE kv (
    installation_id INTEGER NOT NULL,
    key_digest      BLOB NOT NULL,                  -- keyed
    tenant_id       INTEGER NOT NULL,
    key             BLOB NOT NULL,                  -- sealed
    value           BLOB NOT NULL,                  -- sealed
    size            INTEGER NOT NULL,               -- bytes of key and value
    run_id          INTEGER NOT NULL,               -- that wrote it
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (installation_id, key_digest)
) STRICT, WITHOUT ROWID;
