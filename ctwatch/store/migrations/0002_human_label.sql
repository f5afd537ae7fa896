-- What people say about photographs, for training; nothing is overwritten, the latest row counts.
CREATE TABLE raw.human_label (
    media_id VARCHAR, label VARCHAR, count INTEGER, labelled_by VARCHAR, labelled_at TIMESTAMP
);
COMMENT ON TABLE raw.human_label IS 'What people say is on a photograph: a species, several separated by |, or blank; append-only, the latest of each person counts.';
