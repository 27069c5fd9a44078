-- +goose Up

-- The DNS queries that edges counted, added up by minute and by hour, zone and
-- edge: edgeconfig.ZoneCounters. They are asked for by zone.
CREATE TABLE query_minutes (
    start {int} NOT NULL, -- Unix seconds
    zone  {key} NOT NULL,
    edge  {key} NOT NULL,
    answers {int} NOT NULL,
    referrals {int} NOT NULL,
    nodata {int} NOT NULL,
    nxdomain {int} NOT NULL,
    failed {int} NOT NULL,
    limited {int} NOT NULL,
    PRIMARY KEY (zone, start, edge)
);
CREATE INDEX query_minutes_by_age ON query_minutes (start);

CREATE TABLE query_hours (
    start {int} NOT NULL, -- Unix seconds
    zone  {key} NOT NULL,
    edge  {key} NOT NULL,
    answers {int} NOT NULL,
    referrals {int} NOT NULL,
    nodata {int} NOT NULL,
    nxdomain {int} NOT NULL,
    failed {int} NOT NULL,
    limited {int} NOT NULL,
    PRIMARY KEY (zone, start, edge)
);
CREATE INDEX query_hours_by_age ON query_hours (start);

-- +goose Down
DROP TABLE query_hours;
DROP TABLE query_minutes;
