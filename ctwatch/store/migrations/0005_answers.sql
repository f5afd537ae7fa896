-- What people and other programs say beside our own models, and who decided.
ALTER TABLE raw.human_label ADD COLUMN counts INTEGER[];
ALTER TABLE raw.human_label ADD COLUMN scope VARCHAR;
ALTER TABLE raw.human_label ADD COLUMN import_id VARCHAR;
COMMENT ON TABLE raw.human_label IS 'What people say is on a photograph or in its event (scope): a species, several separated by |, or blank; append-only, the latest of each person counts.';

CREATE TABLE raw.machine_label (
    media_id VARCHAR, labels VARCHAR[], probabilities DOUBLE[], classified_by VARCHAR, classified_at TIMESTAMP,
    scope VARCHAR, import_id VARCHAR
);
COMMENT ON TABLE raw.machine_label IS 'What another program''s model says is on a photograph; append-only, the latest counts, before our own models.';

CREATE TABLE raw.machine_box (
    media_id VARCHAR, label VARCHAR, probability DOUBLE, x DOUBLE, y DOUBLE, width DOUBLE, height DOUBLE,
    classified_by VARCHAR, import_id VARCHAR
);
COMMENT ON TABLE raw.machine_box IS 'Boxes that another program''s detector drew, in fractions of the frame.';

CREATE TABLE raw.import (
    import_id VARCHAR PRIMARY KEY, file_name VARCHAR, dialect VARCHAR, by_human BOOLEAN, labels BIGINT, matched BIGINT,
    imported_at TIMESTAMP
);
COMMENT ON TABLE raw.import IS 'Files of labels that were taken in; the same file a second time changes nothing.';

ALTER TABLE raw.observation ADD COLUMN count INTEGER;
ALTER TABLE raw.observation ADD COLUMN classification_method VARCHAR;
ALTER TABLE raw.observation ADD COLUMN classification_timestamp TIMESTAMP;
ALTER TABLE raw.observation ADD COLUMN machine_labels VARCHAR[];
ALTER TABLE raw.observation ADD COLUMN machine_probabilities DOUBLE[];
UPDATE raw.observation SET classification_method = 'machine' WHERE classified_by IS NOT NULL;
