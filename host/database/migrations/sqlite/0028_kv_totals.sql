-- How much each installation keeps of its own. It is held where it is written, at the end of attempts that may run side by side, and
-- the writer is everybody's: so it is kept, not counted anew over up to a million rows.
CREATE TABLE kv_totals (
    installation_id INTEGER NOT NULL PRIMARY KEY,
    tenant_id       INTEGER NOT NULL,
    keys            INTEGER NOT NULL,
    bytes           INTEGER NOT NULL                -- of keys and values
) STRICT;

INSERT INTO kv_totals (installation_id, tenant_id, keys, bytes)
SELECT installation_id, min(tenant_id), count(*), sum(size) FROM kv GROUP BY installation_id;

CREATE TRIGGER kv_totals_grow AFTER INSERT ON kv BEGIN
    INSERT INTO kv_totals (installation_id, tenant_id, keys, bytes)
    VALUES (NEW.installation_id, NEW.tenant_id, 1, NEW.size)
    ON CONFLICT (installation_id) DO UPDATE SET keys = keys + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER kv_totals_follow AFTER UPDATE OF size ON kv BEGIN
    UPDATE kv_totals SET bytes = bytes + NEW.size - OLD.size WHERE installation_id = NEW.installation_id;
END;
-- With its last key, and so with the tenant, the row goes.
CREATE TRIGGER kv_totals_shrink AFTER DELETE ON kv BEGIN
    UPDATE kv_totals SET keys = keys - 1, bytes = bytes - OLD.size WHERE installation_id = OLD.installation_id;
    DELETE FROM kv_totals WHERE installation_id = OLD.installation_id AND keys = 0;
END;
