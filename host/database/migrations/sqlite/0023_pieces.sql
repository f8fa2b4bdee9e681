-- Smaller pieces of the sequence: the entries of one piece lie in two or three pages of the index, and a group of
-- acknowledgements writes those instead of a dozen. Read by the crate fangshi-journal alone.
DROP INDEX events_piece;
CREATE INDEX events_piece ON events (seq >> 9, tenant_id);
