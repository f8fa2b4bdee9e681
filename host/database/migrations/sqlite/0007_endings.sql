-- How tenants and their tokens end. Written by the crate fangshi-tenants alone.

-- Who suspended a tenant: operator, or platform (it refuses the refresh token). New tokens undo the platform's word
-- alone. Null unless suspended.
ALTER TABLE tenants ADD COLUMN suspended_by TEXT;
UPDATE tenants SET suspended_by = CASE WHEN suspended_reason LIKE 'reauthorize:%' AND EXISTS
    (SELECT 1 FROM tokens WHERE tokens.tenant_id = tenants.id AND tokens.refused_code IS NOT NULL)
    THEN 'platform' ELSE 'operator' END
WHERE state = 'suspended';

-- A refused refresh token is asked for again as often as the platform shows one that was not tried.
ALTER TABLE tokens DROP COLUMN recovered_version;
