-- What a season unattended needs: when the copy was published, what no decoder survives, where cards were moved to.
CREATE TABLE raw.publication (published_at TIMESTAMP, ctwatch_version VARCHAR, with_people BOOLEAN);
COMMENT ON TABLE raw.publication IS 'When this copy was published, UTC; one row in a published copy, none in the live database.';

CREATE TABLE raw.quarantine (
    media_id VARCHAR PRIMARY KEY, card_name VARCHAR, file_path VARCHAR, reason VARCHAR, detail VARCHAR, quarantined_at TIMESTAMP
);
COMMENT ON TABLE raw.quarantine IS 'Contents that made a decoder crash, hang or take too much memory; not tried again before `ctwatch retry`.';

ALTER TABLE raw.card ADD COLUMN archive_path VARCHAR;
ALTER TABLE raw.card ADD COLUMN archive_raw_path BLOB;
ALTER TABLE raw.card ADD COLUMN archived_at TIMESTAMP;
