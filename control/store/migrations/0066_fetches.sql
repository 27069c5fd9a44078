-- +goose Up

-- What edges last saw of the secondaries of a zone: edgeconfig.Fetch. What one
-- got and what it did not get are two rows, a bounded number of each for a zone.
CREATE TABLE zone_fetches (
    zone    {key} NOT NULL,
    has     {int} NOT NULL, -- 1: it has the version of that serial
    client  {key} NOT NULL, -- address
    tsig    {key} NOT NULL, -- name of the key; '' is none of the zone's
    how     {key} NOT NULL, -- axfr or ixfr
    outcome {key} NOT NULL,
    serial  {int} NOT NULL,
    at      {int} NOT NULL, -- Unix seconds
    PRIMARY KEY (zone, has, client, tsig)
);

-- +goose Down
DROP TABLE zone_fetches;
