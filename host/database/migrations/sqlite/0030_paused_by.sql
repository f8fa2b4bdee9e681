-- Whose word a pause is. Written by the crate fangshi-tenants alone.

-- operator, who alone ends it, or merchant; NULL: it is at work, or the host paused it (quarantined_at). A removed one keeps what
-- it was paused by.
ALTER TABLE installations ADD COLUMN paused_by TEXT;
-- Who paused it last. Before there was an audit, operators alone could.
UPDATE installations SET paused_by = CASE WHEN
    (SELECT actor FROM audit WHERE audit.tenant_id = installations.tenant_id AND action = 'installation-paused'
     AND subjects LIKE 'i' || installations.id || ' %' ORDER BY number DESC LIMIT 1) LIKE 'merchant:%'
    THEN 'merchant' ELSE 'operator' END
WHERE state = 'paused' AND quarantined_at IS NULL;
