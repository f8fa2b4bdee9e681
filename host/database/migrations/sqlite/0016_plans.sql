-- What a tenant may use. Written by the crate fangshi-tenants alone.

-- The name of a plan of the operator's config; NULL: the operator's figures for everybody.
ALTER TABLE tenants ADD COLUMN plan TEXT;
-- JSON: its own figures, which go before those of the plan. Numbers alone: nothing of a merchant.
ALTER TABLE tenants ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
