-- When to leave an account alone. Written by the crate fangshi-tenants alone.

-- How often the platform refused to settle the account since it was last wanted. tries counts every time it was taken up,
-- also those that an outage ended.
ALTER TABLE authorizers ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
