-- Whose clock an account's time is of. Written by the crate fangshi-tenants alone.

-- 1: changed_s was made by the host's clock, which tells nothing about events of the platform: a word that changes
-- something is not followed by its time, the account is asked. Of rows from before nobody knows.
ALTER TABLE authorizers ADD COLUMN by_host INTEGER NOT NULL DEFAULT 0;
UPDATE authorizers SET by_host = 1;
