-- What people query. Replaced whole whenever this file changes.

-- Who is private, in this one place: photographs on which a model or a person sees somebody, and all of their events. Of
-- people the last word of each counts, also where they do not agree.
CREATE OR REPLACE VIEW raw.people_seen AS
SELECT event_id, media_id FROM raw.observation WHERE observation_type = 'human'
UNION ALL
SELECT NULL, media_id FROM (
    FROM raw.human_label QUALIFY row_number() OVER (
        PARTITION BY media_id, labelled_by, coalesce(scope, 'media') ORDER BY labelled_at DESC, rowid DESC
    ) = 1
)
WHERE regexp_matches(label, '(^|\|)\s*(humans?|persons?|people|homo( sapiens)?)\s*($|\|)', 'i');

CREATE OR REPLACE VIEW raw.private_event AS
SELECT event_id FROM raw.people_seen WHERE event_id IS NOT NULL
UNION SELECT event_id FROM raw.event_media SEMI JOIN raw.people_seen USING (media_id);

CREATE OR REPLACE VIEW raw.private_media AS
SELECT media_id FROM raw.people_seen WHERE media_id IS NOT NULL
UNION SELECT media_id FROM raw.event_media SEMI JOIN raw.private_event USING (event_id);

CREATE OR REPLACE VIEW publication AS
SELECT p.published_at, p.with_people, (SELECT count(*) FROM raw.card) AS cards,
       (SELECT count(*) FROM raw.card_file JOIN raw.media USING (media_id) WHERE status IN ('media', 'failed')) AS media,
       (SELECT count(*) FROM raw.event) AS events, p.ctwatch_version
FROM raw.publication p;
COMMENT ON VIEW publication IS 'When this state was published, and how much is in it: one row. An open connection sees this one state all along.';

CREATE OR REPLACE VIEW locations AS SELECT location_id, location_name, latitude, longitude FROM raw.location;
COMMENT ON VIEW locations IS 'Places that are sampled; degrees WGS84.';

CREATE OR REPLACE VIEW deployments AS
SELECT d.deployment_id, d.location_id, d.camera_id, d.camera_model, d.deployment_start, d.deployment_end,
       min(t.timestamp) FILTER (t.timestamp_trusted) AS first_media, max(t.timestamp) FILTER (t.timestamp_trusted) AS last_media,
       count(t.media_id) AS media_count, d.source, d.flag, d.session
FROM raw.deployment d LEFT JOIN raw.media_time t ON t.deployment_id = d.deployment_id
GROUP BY ALL;
COMMENT ON VIEW deployments IS 'One camera at one location; source says how its folder was understood, flag why to look at it.';

CREATE OR REPLACE VIEW cards AS
SELECT card_name, card_path, processed_at, files_seen, media, duplicates, ignored, failed, videos, time_lapse,
       without_time, bytes, card_id
FROM raw.card;
COMMENT ON VIEW cards IS 'Cards that are completely in; files_seen = media + duplicates + ignored + failed.';

CREATE OR REPLACE VIEW media AS
SELECT m.media_id, f.deployment_id, d.location_id, t.timestamp, m.capture_method, c.card_name, f.file_path,
       parse_filename(f.file_path, false, 'forward_slash') AS file_name, m.file_mediatype, e.event_id, m.timestamp_source, t.timestamp_trusted,
       t.timestamp_issue, m.timestamp AS recorded_timestamp, m.trigger, m.sequence_number, m.sequence_total, m.event_number, m.camera_make, m.camera_model,
       m.camera_serial, m.user_label, m.temperature_c, m.width, m.height, m.file_size, m.failure,
       coalesce(c.archive_path, c.card_path) || '/' || f.file_path AS source_path, p.media_id IS NOT NULL AS private
FROM raw.card_file f
JOIN raw.media m USING (media_id)
JOIN raw.card c ON c.card_id = f.card_id
LEFT JOIN raw.media_time t ON t.media_id = m.media_id
LEFT JOIN raw.deployment d ON d.deployment_id = f.deployment_id
LEFT JOIN raw.event_media e ON e.media_id = m.media_id
LEFT JOIN raw.private_media p ON p.media_id = m.media_id
WHERE f.status IN ('media', 'failed');
COMMENT ON VIEW media IS 'Photographs, each once however often its bytes were dropped; local time.';

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
       o.top_probabilities, o.needs_review, o.review_reason, o.classified_by, o.classification_method,
       o.classification_timestamp, o.count, o.machine_labels, o.machine_probabilities
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
SELECT c.card_name, f.file_path, f.reason, f.detail, f.file_size, c.card_path, p.media_id IS NOT NULL AS private
FROM raw.card_file f JOIN raw.card c USING (card_id) LEFT JOIN raw.private_media p ON p.media_id = f.media_id
WHERE f.status = 'failed';
COMMENT ON VIEW failures IS 'Files that could not be used, with the reason.';

CREATE OR REPLACE VIEW duplicates AS
SELECT c.card_name, f.file_path, c1.card_name AS first_card, f1.file_path AS first_path, p.media_id IS NOT NULL AS private
FROM raw.card_file f
JOIN raw.card c ON c.card_id = f.card_id
LEFT JOIN raw.card_file f1 ON f1.media_id = f.media_id AND f1.status IN ('media', 'failed')
LEFT JOIN raw.card c1 ON c1.card_id = f1.card_id
LEFT JOIN raw.private_media p ON p.media_id = f.media_id
WHERE f.status = 'duplicate';
COMMENT ON VIEW duplicates IS 'Files whose bytes were in already; never counted twice.';

CREATE OR REPLACE VIEW review_queue AS
SELECT event_id, location_id, deployment_id, event_start, observation_type, scientific_name, classification_probability,
       review_reason, top_labels, top_probabilities
FROM observations
WHERE needs_review AND (observation_level = 'event' OR event_id IS NULL);
COMMENT ON VIEW review_queue IS 'What a person must see, and why.';

CREATE OR REPLACE VIEW outages AS
SELECT o.deployment_id, d.location_id, o.outage_start, o.outage_end, o.is_date, o.note
FROM raw.outage o JOIN raw.deployment d USING (deployment_id);
COMMENT ON VIEW outages IS 'Times in which a camera did not work, as the deployments table says.';

CREATE OR REPLACE VIEW clock_corrections AS
SELECT deployment_id, location_id, min(timestamp - recorded_timestamp) AS least, max(timestamp - recorded_timestamp) AS most,
       count(*) AS media_count
FROM media WHERE timestamp <> recorded_timestamp GROUP BY ALL;
COMMENT ON VIEW clock_corrections IS 'By how much the times of each deployment were put right; undone by the deployments table.';

CREATE OR REPLACE VIEW covariates AS
SELECT c.deployment_id, d.location_id, c.name, c.value
FROM raw.deployment_column c JOIN raw.deployment d USING (deployment_id);
COMMENT ON VIEW covariates IS 'Further columns of the deployments table.';

CREATE OR REPLACE VIEW human_labels AS
SELECT h.media_id, h.label, h.counts, coalesce(h.scope, 'media') AS scope, h.labelled_by, h.labelled_at, i.file_name AS imported_from
FROM raw.human_label h LEFT JOIN raw.import i USING (import_id);
COMMENT ON VIEW human_labels IS 'Everything that people said; the latest of each person counts.';

CREATE OR REPLACE VIEW machine_labels AS
SELECT l.media_id, l.labels, l.probabilities, l.classified_by, l.classified_at, i.file_name AS imported_from
FROM raw.machine_label l LEFT JOIN raw.import i USING (import_id);
COMMENT ON VIEW machine_labels IS 'What other programs'' models said; the latest of each photograph counts.';

CREATE OR REPLACE VIEW imports AS
SELECT import_id, file_name, dialect, by_human, labels, matched, imported_at FROM raw.import;
COMMENT ON VIEW imports IS 'Files of labels that were taken in.';

CREATE OR REPLACE VIEW models AS SELECT model_id, name, task, architecture, labels, notes FROM raw.model;
COMMENT ON VIEW models IS 'Models whose predictions are here.';

-- What the columns mean; docs/database.md is made from these.
COMMENT ON COLUMN publication.published_at IS 'When; UTC.';
COMMENT ON COLUMN publication.with_people IS 'False: photographs of people were left out (store.publish_people), and all that is told of single ones.';
COMMENT ON COLUMN publication.cards IS 'Cards that are in.';
COMMENT ON COLUMN publication.media IS 'Photographs in this copy.';
COMMENT ON COLUMN publication.events IS 'Capture events.';
COMMENT ON COLUMN publication.ctwatch_version IS 'The ctwatch that published it.';
COMMENT ON COLUMN locations.location_id IS 'The sampled place (camtrapR: station; unmarked: site).';
COMMENT ON COLUMN locations.location_name IS 'Its name in the deployments table.';
COMMENT ON COLUMN locations.latitude IS 'Degrees north, WGS84.';
COMMENT ON COLUMN locations.longitude IS 'Degrees east, WGS84.';
COMMENT ON COLUMN deployments.deployment_id IS 'From the deployments table, else made from the folder: LOCATION[_CAMERA][_DATE].';
COMMENT ON COLUMN deployments.location_id IS 'Where the camera hung.';
COMMENT ON COLUMN deployments.camera_id IS 'As in the table, or the camera group of the folder pattern.';
COMMENT ON COLUMN deployments.camera_model IS 'As in the table.';
COMMENT ON COLUMN deployments.deployment_start IS 'Set up; camera clock.';
COMMENT ON COLUMN deployments.deployment_end IS 'Taken down; camera clock.';
COMMENT ON COLUMN deployments.first_media IS 'First photograph with a time to trust.';
COMMENT ON COLUMN deployments.last_media IS 'Last photograph with a time to trust.';
COMMENT ON COLUMN deployments.media_count IS 'Photographs, unreadable ones included.';
COMMENT ON COLUMN deployments.source IS 'deployments_table, camera_serial, folder_pattern, folder_name or inbox_name: how files were mapped here.';
COMMENT ON COLUMN deployments.flag IS 'Why somebody should look at this mapping; null: no need.';
COMMENT ON COLUMN deployments.session IS 'Season or session, for multi-season models.';
COMMENT ON COLUMN cards.card_name IS 'The dropped folder.';
COMMENT ON COLUMN cards.card_path IS 'Where it lay.';
COMMENT ON COLUMN cards.processed_at IS 'When it was in; UTC.';
COMMENT ON COLUMN cards.files_seen IS 'Files on the card, hidden and system files left out.';
COMMENT ON COLUMN cards.media IS 'Photographs that are new with this card and usable.';
COMMENT ON COLUMN cards.duplicates IS 'Files whose bytes were in already, or twice on the card.';
COMMENT ON COLUMN cards.ignored IS 'Videos, links and files that are no images.';
COMMENT ON COLUMN cards.failed IS 'Files that could not be used; see failures.';
COMMENT ON COLUMN cards.videos IS 'Of the ignored, videos.';
COMMENT ON COLUMN cards.time_lapse IS 'Of the new photographs, time-lapse.';
COMMENT ON COLUMN cards.without_time IS 'Of the new photographs, without a time to trust.';
COMMENT ON COLUMN cards.bytes IS 'Size of all files.';
COMMENT ON COLUMN cards.card_id IS 'Id of the folder in exactly this state.';
COMMENT ON COLUMN media.media_id IS 'Hash of the bytes (BLAKE3, 128 bits).';
COMMENT ON COLUMN media.deployment_id IS 'The deployment it belongs to.';
COMMENT ON COLUMN media.location_id IS 'The place it was taken at.';
COMMENT ON COLUMN media.timestamp IS 'Local time, the camera''s clock corrected as the deployments table says; see timestamp_trusted.';
COMMENT ON COLUMN media.capture_method IS 'activityDetection or timeLapse (Camtrap DP).';
COMMENT ON COLUMN media.card_name IS 'The card that brought it first.';
COMMENT ON COLUMN media.file_path IS 'Path on that card; bytes that are not UTF-8 as \xNN.';
COMMENT ON COLUMN media.file_name IS 'Last part of the path.';
COMMENT ON COLUMN media.file_mediatype IS 'IANA media type, from the bytes.';
COMMENT ON COLUMN media.event_id IS 'The capture event it is part of; null for time-lapse.';
COMMENT ON COLUMN media.timestamp_source IS 'DateTimeOriginal, DateTimeDigitized, DateTime, XMP, file_name or file_time.';
COMMENT ON COLUMN media.timestamp_trusted IS 'Whether the time is used for grouping, effort and histories.';
COMMENT ON COLUMN media.timestamp_issue IS 'What was passed over, or why it is not trusted.';
COMMENT ON COLUMN media.recorded_timestamp IS 'As the camera wrote it.';
COMMENT ON COLUMN media.trigger IS 'The maker''s code: M motion, T time-lapse, E external, P point and shoot, C CodeLoc.';
COMMENT ON COLUMN media.sequence_number IS 'Frame n of the camera''s sequence.';
COMMENT ON COLUMN media.sequence_total IS 'Frames in that sequence.';
COMMENT ON COLUMN media.event_number IS 'The camera''s own count of triggers.';
COMMENT ON COLUMN media.camera_make IS 'EXIF Make.';
COMMENT ON COLUMN media.camera_model IS 'EXIF Model.';
COMMENT ON COLUMN media.camera_serial IS 'From the maker note or EXIF.';
COMMENT ON COLUMN media.user_label IS 'Label that was typed into the camera.';
COMMENT ON COLUMN media.temperature_c IS 'Degrees Celsius at the camera.';
COMMENT ON COLUMN media.width IS 'Pixels, as stored.';
COMMENT ON COLUMN media.height IS 'Pixels, as stored.';
COMMENT ON COLUMN media.file_size IS 'Bytes.';
COMMENT ON COLUMN media.failure IS 'Why its picture could not be used; null if it could.';
COMMENT ON COLUMN media.source_path IS 'Where the file lay when its card was processed, or lies in the archive.';
COMMENT ON COLUMN media.private IS 'Somebody is on it, or on a photograph of its event: not for publication.';
COMMENT ON COLUMN events.event_id IS 'The same for the same frames on every machine.';
COMMENT ON COLUMN events.deployment_id IS 'The deployment it happened at.';
COMMENT ON COLUMN events.location_id IS 'The place it happened at.';
COMMENT ON COLUMN events.event_start IS 'First frame; null without a time to trust.';
COMMENT ON COLUMN events.event_end IS 'Last frame.';
COMMENT ON COLUMN events.media_count IS 'Frames.';
COMMENT ON COLUMN events.timestamp_trusted IS 'Whether its times can be trusted.';
COMMENT ON COLUMN events.observation_types IS 'What was decided; more than one with several species.';
COMMENT ON COLUMN events.scientific_names IS 'Species of its observations.';
COMMENT ON COLUMN events.needs_review IS 'Whether a person must see it.';
COMMENT ON COLUMN observations.observation_id IS 'Stable id.';
COMMENT ON COLUMN observations.deployment_id IS 'The deployment.';
COMMENT ON COLUMN observations.location_id IS 'The place.';
COMMENT ON COLUMN observations.event_id IS 'The event; null for time-lapse frames.';
COMMENT ON COLUMN observations.media_id IS 'The photograph, for level media.';
COMMENT ON COLUMN observations.event_start IS 'Start of the event, or time of the photograph.';
COMMENT ON COLUMN observations.event_end IS 'End of the event, or time of the photograph.';
COMMENT ON COLUMN observations.observation_level IS 'event or media (Camtrap DP).';
COMMENT ON COLUMN observations.observation_type IS 'animal, human, vehicle, blank, unknown (below threshold) or unclassified (not looked at).';
COMMENT ON COLUMN observations.scientific_name IS 'The label of the species models.';
COMMENT ON COLUMN observations.classification_probability IS 'Of what was decided, 0 to 1; null where a person decided.';
COMMENT ON COLUMN observations.top_labels IS 'The best labels, best first, at most five.';
COMMENT ON COLUMN observations.top_probabilities IS 'Their probabilities.';
COMMENT ON COLUMN observations.needs_review IS 'Whether a person must see it.';
COMMENT ON COLUMN observations.review_reason IS 'Why, separated by semicolons.';
COMMENT ON COLUMN observations.classified_by IS 'The ensembles, the imported model or the person that decided.';
COMMENT ON COLUMN observations.classification_method IS 'machine or human (Camtrap DP); null where nobody looked.';
COMMENT ON COLUMN observations.classification_timestamp IS 'When a person or an imported model did; UTC.';
COMMENT ON COLUMN observations.count IS 'Individuals, where a person counted.';
COMMENT ON COLUMN observations.machine_labels IS 'What the machines decided of the same event or photograph, whoever decided in the end.';
COMMENT ON COLUMN observations.machine_probabilities IS 'Of each of these, 0 to 1.';
COMMENT ON COLUMN detections.location_id IS 'The place.';
COMMENT ON COLUMN detections.day IS 'Camera-clock date on which the events began.';
COMMENT ON COLUMN detections.scientific_name IS 'The species.';
COMMENT ON COLUMN detections.events IS 'Events that show it.';
COMMENT ON COLUMN detections.events_to_review IS 'Of these, events that a person must see.';
COMMENT ON COLUMN effort.location_id IS 'The place.';
COMMENT ON COLUMN effort.day IS 'Camera-clock date.';
COMMENT ON COLUMN effort.camera_days IS 'Cameras working times the part of the day; setup and retrieval days count in part.';
COMMENT ON COLUMN effort.assumed IS 'True: no deployment dates, so every day from the first to the last photograph.';
COMMENT ON COLUMN failures.card_name IS 'The card.';
COMMENT ON COLUMN failures.file_path IS 'The file.';
COMMENT ON COLUMN failures.reason IS 'empty_file, not_an_image, truncated, unreadable, too_large or no_access.';
COMMENT ON COLUMN failures.detail IS 'What exactly.';
COMMENT ON COLUMN failures.file_size IS 'Bytes.';
COMMENT ON COLUMN failures.card_path IS 'Where the card lay.';
COMMENT ON COLUMN failures.private IS 'Its event shows somebody.';
COMMENT ON COLUMN duplicates.card_name IS 'The card with the copy.';
COMMENT ON COLUMN duplicates.file_path IS 'The copy.';
COMMENT ON COLUMN duplicates.first_card IS 'The card that brought the bytes first.';
COMMENT ON COLUMN duplicates.first_path IS 'The file on that card.';
COMMENT ON COLUMN duplicates.private IS 'It shows somebody, or its event does.';
COMMENT ON COLUMN review_queue.event_id IS 'The event; null for a time-lapse frame.';
COMMENT ON COLUMN review_queue.location_id IS 'The place.';
COMMENT ON COLUMN review_queue.deployment_id IS 'The deployment.';
COMMENT ON COLUMN review_queue.event_start IS 'When.';
COMMENT ON COLUMN review_queue.observation_type IS 'What was decided.';
COMMENT ON COLUMN review_queue.scientific_name IS 'The species decided on.';
COMMENT ON COLUMN review_queue.classification_probability IS 'How sure.';
COMMENT ON COLUMN review_queue.review_reason IS 'Why a person must see it.';
COMMENT ON COLUMN review_queue.top_labels IS 'What else it may be.';
COMMENT ON COLUMN review_queue.top_probabilities IS 'How probable.';
COMMENT ON COLUMN outages.deployment_id IS 'The deployment.';
COMMENT ON COLUMN outages.location_id IS 'The place.';
COMMENT ON COLUMN outages.outage_start IS 'From.';
COMMENT ON COLUMN outages.outage_end IS 'Until; with is_date this whole day too.';
COMMENT ON COLUMN outages.is_date IS 'Whole days, both included.';
COMMENT ON COLUMN outages.note IS 'As in the table.';
COMMENT ON COLUMN clock_corrections.deployment_id IS 'The deployment.';
COMMENT ON COLUMN clock_corrections.location_id IS 'The place.';
COMMENT ON COLUMN clock_corrections.least IS 'Smallest addition to a recorded time.';
COMMENT ON COLUMN clock_corrections.most IS 'Largest addition; another than the smallest where a clock drifted.';
COMMENT ON COLUMN clock_corrections.media_count IS 'Photographs whose time was corrected.';
COMMENT ON COLUMN covariates.deployment_id IS 'The deployment.';
COMMENT ON COLUMN covariates.location_id IS 'The place.';
COMMENT ON COLUMN covariates.name IS 'The column''s header.';
COMMENT ON COLUMN covariates.value IS 'The cell.';
COMMENT ON COLUMN human_labels.media_id IS 'The photograph.';
COMMENT ON COLUMN human_labels.label IS 'A species, several separated by |, or blank, human, vehicle, animal, unknown.';
COMMENT ON COLUMN human_labels.counts IS 'Individuals of each, in the same order.';
COMMENT ON COLUMN human_labels.scope IS 'media: the photograph; event: the event that it is part of.';
COMMENT ON COLUMN human_labels.labelled_by IS 'Who.';
COMMENT ON COLUMN human_labels.labelled_at IS 'When; UTC.';
COMMENT ON COLUMN human_labels.imported_from IS 'The file that brought it.';
COMMENT ON COLUMN machine_labels.media_id IS 'The photograph.';
COMMENT ON COLUMN machine_labels.labels IS 'All that it names, blank included.';
COMMENT ON COLUMN machine_labels.probabilities IS 'Of each, 0 to 1.';
COMMENT ON COLUMN machine_labels.classified_by IS 'The model.';
COMMENT ON COLUMN machine_labels.classified_at IS 'When; UTC where known.';
COMMENT ON COLUMN machine_labels.imported_from IS 'The file that brought it.';
COMMENT ON COLUMN imports.import_id IS 'Hash of the file and of how it was taken.';
COMMENT ON COLUMN imports.file_name IS 'Its name.';
COMMENT ON COLUMN imports.dialect IS 'Camtrap DP, MegaDetector, SpeciesNet, Timelapse or Wildlife Insights.';
COMMENT ON COLUMN imports.by_human IS 'Whether it brought people''s labels.';
COMMENT ON COLUMN imports.labels IS 'Labels in it.';
COMMENT ON COLUMN imports.matched IS 'Labels of photographs that are here.';
COMMENT ON COLUMN imports.imported_at IS 'When; UTC.';
COMMENT ON COLUMN models.model_id IS 'Hash of the model file.';
COMMENT ON COLUMN models.name IS 'Its name.';
COMMENT ON COLUMN models.task IS 'empty or species.';
COMMENT ON COLUMN models.architecture IS 'Network architecture.';
COMMENT ON COLUMN models.labels IS 'Labels in the order of its probabilities.';
COMMENT ON COLUMN models.notes IS 'What it is for.';
