-- +goose Up

-- Why TLS handshakes came to nothing, of handshake_errors: edgeconfig.RefusalReasons.
ALTER TABLE traffic_minutes ADD COLUMN refused_no_certificate {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_version {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_cipher {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_alpn {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_no_challenge {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_client_refused {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_client_left {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_not_tls {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_timeout {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_minutes ADD COLUMN refused_other {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_no_certificate {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_version {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_cipher {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_alpn {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_no_challenge {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_client_refused {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_client_left {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_not_tls {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_timeout {int} NOT NULL DEFAULT 0;
ALTER TABLE traffic_hours ADD COLUMN refused_other {int} NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE traffic_hours DROP COLUMN refused_no_certificate;
ALTER TABLE traffic_hours DROP COLUMN refused_version;
ALTER TABLE traffic_hours DROP COLUMN refused_cipher;
ALTER TABLE traffic_hours DROP COLUMN refused_alpn;
ALTER TABLE traffic_hours DROP COLUMN refused_no_challenge;
ALTER TABLE traffic_hours DROP COLUMN refused_client_refused;
ALTER TABLE traffic_hours DROP COLUMN refused_client_left;
ALTER TABLE traffic_hours DROP COLUMN refused_not_tls;
ALTER TABLE traffic_hours DROP COLUMN refused_timeout;
ALTER TABLE traffic_hours DROP COLUMN refused_other;
ALTER TABLE traffic_minutes DROP COLUMN refused_no_certificate;
ALTER TABLE traffic_minutes DROP COLUMN refused_version;
ALTER TABLE traffic_minutes DROP COLUMN refused_cipher;
ALTER TABLE traffic_minutes DROP COLUMN refused_alpn;
ALTER TABLE traffic_minutes DROP COLUMN refused_no_challenge;
ALTER TABLE traffic_minutes DROP COLUMN refused_client_refused;
ALTER TABLE traffic_minutes DROP COLUMN refused_client_left;
ALTER TABLE traffic_minutes DROP COLUMN refused_not_tls;
ALTER TABLE traffic_minutes DROP COLUMN refused_timeout;
ALTER TABLE traffic_minutes DROP COLUMN refused_other;
