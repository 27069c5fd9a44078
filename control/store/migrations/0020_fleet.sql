-- +goose Up

-- Numbers of the fleet: 'documents' the last given to a document, 'purges' the
-- last purge, 'watched' the store's number up to which events became documents.
CREATE TABLE fleet_numbers (
    name  {key} PRIMARY KEY,
    value {int} NOT NULL
);

-- The current version of every document, tombstones included.
CREATE TABLE documents (
    key       {key} PRIMARY KEY,
    scope     {key} NOT NULL,
    revision  {int} NOT NULL,
    deleted   {int} NOT NULL,
    hash      {key} NOT NULL,
    signature {bytes} NOT NULL,
    cause     {int} NOT NULL,
    body      TEXT NOT NULL
);

CREATE TABLE purges (
    seq     {int} PRIMARY KEY,
    id      {key} NOT NULL UNIQUE,
    purge   TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT ''
);

-- One-time tokens, by the hex of their SHA-256.
CREATE TABLE join_tokens (
    hash       {key} PRIMARY KEY,
    region     {key} NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    bus_key    {key} NOT NULL DEFAULT '',
    edge       {key} NOT NULL DEFAULT '',
    used_at    {int} NOT NULL DEFAULT 0
);

-- +goose Down
DROP TABLE join_tokens;
DROP TABLE purges;
DROP TABLE documents;
DROP TABLE fleet_numbers;
