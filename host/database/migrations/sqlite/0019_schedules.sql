-- When the hook `on-schedule` of an installation is called. Names are of small letters and digits: nothing here is sealed.
CREATE TABLE schedules (
    installation_id  INTEGER NOT NULL REFERENCES installations (id),
    name             TEXT NOT NULL,
    tenant_id        INTEGER NOT NULL REFERENCES tenants (id),
    cron             TEXT NOT NULL,                 -- five fields
    time_zone        TEXT NOT NULL,                 -- Asia/Shanghai
    next_at          INTEGER NOT NULL,              -- unix s: the next tick
    planned_at       INTEGER NOT NULL,              -- unix ms: when that was worked out
    skipped          INTEGER NOT NULL DEFAULT 0,    -- ticks that were due and made no event
    PRIMARY KEY (installation_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (next_at);
CREATE INDEX schedules_planned ON schedules (planned_at);
