-- What the background of a deployment is made of; about 1.8 GB for a million photographs.
CREATE TABLE raw.miniature (media_id VARCHAR PRIMARY KEY, colour UTINYINT, pixels BLOB);
COMMENT ON TABLE raw.miniature IS 'A photograph in 48 x 36 grey pixels, row by row, and its median difference between channels (0: infrared); append-only.';
