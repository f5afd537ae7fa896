-- The first schema. Text in comments becomes docs/database.md; migrations are never edited after a release.
-- Schema raw holds what ctwatch keeps; people query the views.
CREATE SCHEMA raw;

CREATE TABLE raw.migration (name VARCHAR, applied_at TIMESTAMP, ctwatch_version VARCHAR);
COMMENT ON TABLE raw.migration IS 'Changes of the schema, in the order in which they were applied.';

CREATE TABLE raw.location (location_id VARCHAR, location_name VARCHAR, latitude DOUBLE, longitude DOUBLE);
COMMENT ON TABLE raw.location IS 'Places that are sampled.';

CREATE TABLE raw.deployment (
    deployment_id VARCHAR, location_id VARCHAR, camera_id VARCHAR, camera_model VARCHAR,
    deployment_start TIMESTAMP, deployment_end TIMESTAMP, start_is_date BOOLEAN, end_is_date BOOLEAN,
    source VARCHAR, flag VARCHAR
);
COMMENT ON TABLE raw.deployment IS 'One camera at one location from setup to retrieval.';

CREATE TABLE raw.model (
    model_id VARCHAR PRIMARY KEY, name VARCHAR, task VARCHAR, architecture VARCHAR, labels VARCHAR[],
    notes VARCHAR
);
COMMENT ON TABLE raw.model IS 'Models whose predictions are here; append-only.';

CREATE TABLE raw.media (
    media_id VARCHAR PRIMARY KEY, file_size BIGINT, file_mediatype VARCHAR, width INTEGER, height INTEGER,
    timestamp TIMESTAMP, timestamp_source VARCHAR, timestamp_trusted BOOLEAN, timestamp_issue VARCHAR,
    capture_method VARCHAR, trigger VARCHAR, sequence_number INTEGER, sequence_total INTEGER, event_number BIGINT,
    camera_make VARCHAR, camera_model VARCHAR, camera_serial VARCHAR, user_label VARCHAR, temperature_c DOUBLE,
    failure VARCHAR, failure_detail VARCHAR
);
COMMENT ON TABLE raw.media IS 'Photographs by the hash of their bytes, with what their headers tell; append-only.';

CREATE TABLE raw.prediction (
    media_id VARCHAR, model_id VARCHAR, probabilities FLOAT[], PRIMARY KEY (media_id, model_id)
);
COMMENT ON TABLE raw.prediction IS 'What one model said about one photograph, in the order of its labels; append-only.';

CREATE TABLE raw.card (
    card_id VARCHAR, card_path VARCHAR, raw_path BLOB, card_name VARCHAR, inbox VARCHAR,
    files_seen BIGINT, media BIGINT, duplicates BIGINT, ignored BIGINT, failed BIGINT, videos BIGINT,
    time_lapse BIGINT, without_time BIGINT, bytes BIGINT, processed_at TIMESTAMP
);
COMMENT ON TABLE raw.card IS 'Cards that are completely in; the last row of their transaction.';

CREATE TABLE raw.card_file (
    card_id VARCHAR, file_path VARCHAR, raw_path BLOB, file_size BIGINT, modified_ns BIGINT,
    status VARCHAR, reason VARCHAR, detail VARCHAR, media_id VARCHAR, deployment_id VARCHAR
);
COMMENT ON TABLE raw.card_file IS 'Every file of every card and what became of it.';

CREATE TABLE raw.event (
    event_id VARCHAR, deployment_id VARCHAR, event_start TIMESTAMP, event_end TIMESTAMP,
    media_count INTEGER, timestamp_trusted BOOLEAN
);
COMMENT ON TABLE raw.event IS 'Capture events; replaced per deployment.';

CREATE TABLE raw.event_media (event_id VARCHAR, deployment_id VARCHAR, media_id VARCHAR, position INTEGER);
COMMENT ON TABLE raw.event_media IS 'The photographs of each event, in capture order.';

CREATE TABLE raw.observation (
    observation_id VARCHAR, deployment_id VARCHAR, event_id VARCHAR, media_id VARCHAR,
    event_start TIMESTAMP, event_end TIMESTAMP, observation_level VARCHAR, observation_type VARCHAR,
    scientific_name VARCHAR, classified_by VARCHAR, classification_probability DOUBLE,
    top_labels VARCHAR[], top_probabilities DOUBLE[], needs_review BOOLEAN, review_reason VARCHAR
);
COMMENT ON TABLE raw.observation IS 'What was seen, per event and per photograph; replaced per deployment.';

CREATE TABLE raw.effort (location_id VARCHAR, day DATE, camera_days DOUBLE, assumed BOOLEAN);
COMMENT ON TABLE raw.effort IS 'Camera-days worked per location and day; replaced with every card.';
