-- Whose deletion it is, for the list of deletions that is kept outside of the store.
ALTER TABLE deletions ADD COLUMN appid TEXT;
