-- What people query. Replaced whole whenever this file changes.
CREATE OR REPLACE VIEW locations AS SELECT location_id, location_name, latitude, longitude FROM raw.location;
COMMENT ON VIEW locations IS 'Places that are sampled; degrees WGS84.';

CREATE OR REPLACE VIEW deployments AS
SELECT d.deployment_id, d.location_id, d.camera_id, d.camera_model, d.deployment_start, d.deployment_end,
       min(m.timestamp) FILTER (m.timestamp_trusted) AS first_media, max(m.timestamp) FILTER (m.timestamp_trusted) AS last_media,
       count(m.media_id) AS media_count, d.source, d.flag
FROM raw.deployment d
LEFT JOIN raw.card_file f ON f.deployment_id = d.deployment_id AND f.status IN ('media', 'failed')
LEFT JOIN raw.media m USING (media_id)
GROUP BY ALL;
COMMENT ON VIEW deployments IS 'One camera at one location; source says how its folder was understood, flag why to look at it.';

CREATE OR REPLACE VIEW cards AS
SELECT card_name, card_path, processed_at, files_seen, media, duplicates, ignored, failed, videos, time_lapse,
       without_time, bytes, card_id
FROM raw.card;
COMMENT ON VIEW cards IS 'Cards that are completely in; files_seen = media + duplicates + ignored + failed.';

CREATE OR REPLACE VIEW media AS
SELECT m.media_id, f.deployment_id, d.location_id, m.timestamp, m.capture_method, c.card_name, f.file_path,
       parse_filename(f.file_path) AS file_name, m.file_mediatype, e.event_id, m.timestamp_source, m.timestamp_trusted,
       m.timestamp_issue, m.trigger, m.sequence_number, m.sequence_total, m.event_number, m.camera_make, m.camera_model,
       m.camera_serial, m.user_label, m.temperature_c, m.width, m.height, m.file_size, m.failure,
       CASE WHEN c.card_path IS NOT NULL THEN c.card_path || '/' || f.file_path END AS source_path
FROM raw.card_file f
JOIN raw.media m USING (media_id)
JOIN raw.card c ON c.card_id = f.card_id
LEFT JOIN raw.deployment d ON d.deployment_id = f.deployment_id
LEFT JOIN raw.event_media e ON e.media_id = m.media_id
WHERE f.status IN ('media', 'failed');
COMMENT ON VIEW media IS 'Photographs, each once however often its bytes were dropped; camera clock time.';

CREATE OR REPLACE VIEW events AS
SELECT e.event_id, e.deployment_id, d.location_id, e.event_start, e.event_end, e.media_count, e.timestamp_trusted,
       o.observation_types, o.scientific_names, o.needs_review
FROM raw.event e
LEFT JOIN raw.deployment d USING (deployment_id)
LEFT JOIN (
    SELECT event_id, list_distinct(list(observation_type)) AS observation_types,
           list(scientific_name) FILTER (scientific_name IS NOT NULL) AS scientific_names, bool_or(needs_review) AS needs_review
    FROM raw.observation WHERE observation_level = 'event' GROUP BY event_id
) o USING (event_id);
COMMENT ON VIEW events IS 'Capture events: what the camera saw in one visit.';

CREATE OR REPLACE VIEW observations AS
SELECT o.observation_id, o.deployment_id, d.location_id, o.event_id, o.media_id, o.event_start, o.event_end,
       o.observation_level, o.observation_type, o.scientific_name, o.classification_probability, o.top_labels,
       o.top_probabilities, o.needs_review, o.review_reason, o.classified_by
FROM raw.observation o
LEFT JOIN raw.deployment d USING (deployment_id);
COMMENT ON VIEW observations IS 'What was seen; rows of level event do not overlap, rows of level media are the same seen frame by frame.';

CREATE OR REPLACE VIEW detections AS
SELECT location_id, CAST(event_start AS DATE) AS day, scientific_name, count(*) AS events,
       count(*) FILTER (needs_review) AS events_to_review
FROM observations
WHERE observation_level = 'event' AND scientific_name IS NOT NULL AND event_start IS NOT NULL
GROUP BY ALL;
COMMENT ON VIEW detections IS 'Events of each species per location and day.';

CREATE OR REPLACE VIEW effort AS SELECT location_id, day, camera_days, assumed FROM raw.effort;
COMMENT ON VIEW effort IS 'Camera-days worked per location and day; assumed: from the first to the last photograph, for want of deployment dates.';

CREATE OR REPLACE VIEW failures AS
SELECT c.card_name, f.file_path, f.reason, f.detail, f.file_size, c.card_path
FROM raw.card_file f JOIN raw.card c USING (card_id)
WHERE f.status = 'failed';
COMMENT ON VIEW failures IS 'Files that could not be used, with the reason.';

CREATE OR REPLACE VIEW duplicates AS
SELECT c.card_name, f.file_path, c1.card_name AS first_card, f1.file_path AS first_path
FROM raw.card_file f
JOIN raw.card c ON c.card_id = f.card_id
LEFT JOIN raw.card_file f1 ON f1.media_id = f.media_id AND f1.status IN ('media', 'failed')
LEFT JOIN raw.card c1 ON c1.card_id = f1.card_id
WHERE f.status = 'duplicate';
COMMENT ON VIEW duplicates IS 'Files whose bytes were in already; never counted twice.';

CREATE OR REPLACE VIEW review_queue AS
SELECT event_id, location_id, deployment_id, event_start, observation_type, scientific_name, classification_probability,
       review_reason, top_labels, top_probabilities
FROM observations
WHERE needs_review AND (observation_level = 'event' OR event_id IS NULL);
COMMENT ON VIEW review_queue IS 'What a person must see, and why.';

CREATE OR REPLACE VIEW models AS SELECT model_id, name, task, architecture, labels, notes FROM raw.model;
COMMENT ON VIEW models IS 'Models whose predictions are here.';
