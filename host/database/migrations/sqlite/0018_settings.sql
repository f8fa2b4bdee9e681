-- What a version says about its settings, and which of an installation's are never shown again.
-- The schema came with the component and is the merchant's like its code: sealed, as JSON. NULL: the version has none.
ALTER TABLE versions ADD COLUMN settings_schema BLOB;
-- JSON: names of the settings whose values are secrets. A value stays secret until another one takes its place.
ALTER TABLE installations ADD COLUMN secrets TEXT NOT NULL DEFAULT '[]';
