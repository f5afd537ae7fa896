-- What the field sheet says beside places and dates: seasons, outages, how wrong a clock was, and any further column.
ALTER TABLE raw.deployment ADD COLUMN session VARCHAR;

CREATE TABLE raw.outage (deployment_id VARCHAR, outage_start TIMESTAMP, outage_end TIMESTAMP, is_date BOOLEAN, note VARCHAR);
COMMENT ON TABLE raw.outage IS 'Times within deployments in which the camera did not work, from the deployments table.';

CREATE TABLE raw.clock_point (deployment_id VARCHAR, file_name VARCHAR, recorded TIMESTAMP, actual TIMESTAMP);
COMMENT ON TABLE raw.clock_point IS 'Moments known on the camera''s clock and on a right one; recorded is null where a photograph (file_name) tells it.';

CREATE TABLE raw.deployment_column (deployment_id VARCHAR, name VARCHAR, value VARCHAR);
COMMENT ON TABLE raw.deployment_column IS 'Further columns of the deployments table, word for word.';

-- Times as they count, after the clock's correction; replaced per deployment, raw.media keeps what the camera wrote.
CREATE TABLE raw.media_time (
    media_id VARCHAR, deployment_id VARCHAR, timestamp TIMESTAMP, timestamp_trusted BOOLEAN, timestamp_issue VARCHAR
);
COMMENT ON TABLE raw.media_time IS 'The corrected time of each photograph and whether it counts; replaced per deployment.';
INSERT INTO raw.media_time
SELECT m.media_id, f.deployment_id, m.timestamp, m.timestamp_trusted, m.timestamp_issue
FROM raw.card_file f JOIN raw.media m USING (media_id) WHERE f.status IN ('media', 'failed');
