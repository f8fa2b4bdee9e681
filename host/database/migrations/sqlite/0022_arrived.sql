-- When the code of a link came with its redirect, unix ms: its authorization is no younger. A deletion since then counts more
-- than what the code stands for. Null: no code came, or before this column was there.
ALTER TABLE authorizations ADD COLUMN arrived_at INTEGER;
