-- +goose Up

-- What edges counted, added up by minute and by hour, site and edge. latency_n
-- is the n-th bucket of edgeconfig.HistogramBounds.
CREATE TABLE traffic_minutes (
    start {int} NOT NULL, -- Unix seconds
    site  {key} NOT NULL,
    edge  {key} NOT NULL,
    requests {int} NOT NULL,
    bytes {int} NOT NULL,
    origin_bytes {int} NOT NULL,
    status_1 {int} NOT NULL,
    status_2 {int} NOT NULL,
    status_3 {int} NOT NULL,
    status_4 {int} NOT NULL,
    status_5 {int} NOT NULL,
    cache_hit {int} NOT NULL,
    cache_miss {int} NOT NULL,
    cache_stale {int} NOT NULL,
    cache_revalidated {int} NOT NULL,
    cache_bypass {int} NOT NULL,
    cache_none {int} NOT NULL,
    origin_errors {int} NOT NULL,
    handshakes {int} NOT NULL,
    handshake_errors {int} NOT NULL,
    latency_0 {int} NOT NULL,
    latency_1 {int} NOT NULL,
    latency_2 {int} NOT NULL,
    latency_3 {int} NOT NULL,
    latency_4 {int} NOT NULL,
    latency_5 {int} NOT NULL,
    latency_6 {int} NOT NULL,
    latency_7 {int} NOT NULL,
    latency_8 {int} NOT NULL,
    latency_9 {int} NOT NULL,
    latency_10 {int} NOT NULL,
    latency_11 {int} NOT NULL,
    latency_12 {int} NOT NULL,
    PRIMARY KEY (start, site, edge)
);

CREATE TABLE traffic_hours (
    start {int} NOT NULL, -- Unix seconds
    site  {key} NOT NULL,
    edge  {key} NOT NULL,
    requests {int} NOT NULL,
    bytes {int} NOT NULL,
    origin_bytes {int} NOT NULL,
    status_1 {int} NOT NULL,
    status_2 {int} NOT NULL,
    status_3 {int} NOT NULL,
    status_4 {int} NOT NULL,
    status_5 {int} NOT NULL,
    cache_hit {int} NOT NULL,
    cache_miss {int} NOT NULL,
    cache_stale {int} NOT NULL,
    cache_revalidated {int} NOT NULL,
    cache_bypass {int} NOT NULL,
    cache_none {int} NOT NULL,
    origin_errors {int} NOT NULL,
    handshakes {int} NOT NULL,
    handshake_errors {int} NOT NULL,
    latency_0 {int} NOT NULL,
    latency_1 {int} NOT NULL,
    latency_2 {int} NOT NULL,
    latency_3 {int} NOT NULL,
    latency_4 {int} NOT NULL,
    latency_5 {int} NOT NULL,
    latency_6 {int} NOT NULL,
    latency_7 {int} NOT NULL,
    latency_8 {int} NOT NULL,
    latency_9 {int} NOT NULL,
    latency_10 {int} NOT NULL,
    latency_11 {int} NOT NULL,
    latency_12 {int} NOT NULL,
    PRIMARY KEY (start, site, edge)
);

-- Parts of rollups that have been added, so that a repeat counts once.
CREATE TABLE traffic_seen (
    id {key} PRIMARY KEY,
    at {int} NOT NULL
);
CREATE INDEX traffic_seen_by_age ON traffic_seen (at);

-- +goose Down
DROP TABLE traffic_seen;
DROP TABLE traffic_hours;
DROP TABLE traffic_minutes;
