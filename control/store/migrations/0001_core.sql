-- +goose Up

-- The one counter: commits and status writes take the next value.
CREATE TABLE counters (
    name  {key} PRIMARY KEY,
    value {int} NOT NULL
);
INSERT INTO counters (name, value) VALUES ('seq', 0);

CREATE TABLE resources (
    id          {key} PRIMARY KEY,
    kind        {key} NOT NULL,
    project     {key} NOT NULL,
    environment {key} NOT NULL,
    name        {key} NOT NULL,
    revision    {int} NOT NULL,
    seq         {int} NOT NULL,
    created_at  {int} NOT NULL,
    updated_at  {int} NOT NULL,
    spec        TEXT NOT NULL,
    status      TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX resources_by_name ON resources (kind, project, environment, name);
CREATE INDEX resources_by_kind ON resources (kind, id);
CREATE INDEX resources_by_kind_name ON resources (kind, name, id);
CREATE INDEX resources_by_project ON resources (project, kind, id);
CREATE INDEX resources_by_seq ON resources (seq, id);

-- Deleted resources as they last were, for watchers that were away and for the
-- creation time of one that comes back.
CREATE TABLE tombstones (
    id          {key} PRIMARY KEY,
    kind        {key} NOT NULL,
    project     {key} NOT NULL,
    environment {key} NOT NULL,
    name        {key} NOT NULL,
    revision    {int} NOT NULL,
    seq         {int} NOT NULL,
    created_at  {int} NOT NULL,
    updated_at  {int} NOT NULL,
    spec        TEXT NOT NULL,
    status      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX tombstones_by_seq ON tombstones (seq, id);

CREATE TABLE revisions (
    revision   {int} PRIMARY KEY,
    at         {int} NOT NULL,
    actor      TEXT NOT NULL,
    via        TEXT NOT NULL,
    reason     TEXT NOT NULL,
    request_id TEXT NOT NULL
);

CREATE TABLE revision_entries (
    revision    {int} NOT NULL,
    position    {int} NOT NULL,
    op          {key} NOT NULL,
    kind        {key} NOT NULL,
    id          {key} NOT NULL,
    project     {key} NOT NULL,
    environment {key} NOT NULL,
    name        {key} NOT NULL,
    old_name    {key} NOT NULL,
    spec_before TEXT,
    spec_after  TEXT,
    PRIMARY KEY (revision, position)
);
CREATE INDEX revision_entries_by_id ON revision_entries (id, revision);
CREATE INDEX revision_entries_by_project ON revision_entries (project, revision);

-- Sealed secrets. key_id names the master key, so that a rotation finds what is
-- left to do.
CREATE TABLE secrets (
    name       {key} PRIMARY KEY,
    key_id     {key} NOT NULL,
    box        {bytes} NOT NULL,
    updated_at {int} NOT NULL
);
CREATE INDEX secrets_by_key ON secrets (key_id, name);

CREATE TABLE plans (
    id               {key} PRIMARY KEY,
    project          {key} NOT NULL,
    environment      {key} NOT NULL,
    created_at       {int} NOT NULL,
    applied_revision {int} NOT NULL DEFAULT 0,
    body             TEXT NOT NULL
);
CREATE INDEX plans_by_age ON plans (created_at);

-- Who did what. Each row's hash covers the row and the hash before it.
CREATE TABLE audit (
    seq        {int} PRIMARY KEY,
    at         {int} NOT NULL,
    actor      TEXT NOT NULL,
    action     {key} NOT NULL,
    target     TEXT NOT NULL,
    project    {key} NOT NULL,
    detail     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    hash       {bytes} NOT NULL
);
CREATE INDEX audit_by_project ON audit (project, seq);

-- Where the log ends, so that a log cut short shows.
CREATE TABLE audit_head (
    id   {int} PRIMARY KEY,
    seq  {int} NOT NULL,
    hash {bytes} NOT NULL,
    seal {bytes} NOT NULL
);

CREATE TABLE leases (
    name       {key} PRIMARY KEY,
    holder     {key} NOT NULL,
    token      {int} NOT NULL,
    expires_at {int} NOT NULL
);

-- +goose Down
DROP TABLE leases;
DROP TABLE audit_head;
DROP TABLE audit;
DROP TABLE plans;
DROP TABLE secrets;
DROP TABLE revision_entries;
DROP TABLE revisions;
DROP TABLE tombstones;
DROP TABLE resources;
DROP TABLE counters;
