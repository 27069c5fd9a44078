-- +goose Up

CREATE TABLE access_users (
    id            {key} PRIMARY KEY,
    email         {key} NOT NULL,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    revision      {int} NOT NULL,
    created_at    {int} NOT NULL,
    updated_at    {int} NOT NULL,
    last_login_at {int} NOT NULL
);
CREATE UNIQUE INDEX access_users_by_email ON access_users (email);

-- Roles. project is a project's ID, or * for the platform.
CREATE TABLE access_grants (
    user_id    {key} NOT NULL,
    project    {key} NOT NULL,
    role       {key} NOT NULL,
    revision   {int} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    PRIMARY KEY (user_id, project)
);
CREATE INDEX access_grants_by_project ON access_grants (project, user_id);

-- hash: SHA-256 of what the browser holds.
CREATE TABLE access_sessions (
    hash         {bytes} PRIMARY KEY,
    user_id      {key} NOT NULL,
    created_at   {int} NOT NULL,
    expires_at   {int} NOT NULL,
    last_seen_at {int} NOT NULL,
    address      TEXT NOT NULL,
    user_agent   TEXT NOT NULL
);
CREATE INDEX access_sessions_by_user ON access_sessions (user_id);
CREATE INDEX access_sessions_by_end ON access_sessions (expires_at);

CREATE TABLE access_tokens (
    id           {key} PRIMARY KEY,
    hash         {bytes} NOT NULL,
    hint         TEXT NOT NULL,
    name         TEXT NOT NULL,
    user_id      {key} NOT NULL,
    project      {key} NOT NULL,
    role         {key} NOT NULL,
    scopes       TEXT NOT NULL,
    revision     {int} NOT NULL,
    created_at   {int} NOT NULL,
    expires_at   {int} NOT NULL,
    last_used_at {int} NOT NULL,
    revoked_at   {int} NOT NULL
);
CREATE UNIQUE INDEX access_tokens_by_hash ON access_tokens (hash);
CREATE INDEX access_tokens_by_project ON access_tokens (project, id);

-- One-time links; a used one is deleted.
CREATE TABLE access_links (
    id         {key} PRIMARY KEY,
    hash       {bytes} NOT NULL,
    purpose    {key} NOT NULL,
    user_id    {key} NOT NULL,
    email      {key} NOT NULL,
    name       TEXT NOT NULL,
    project    {key} NOT NULL,
    role       {key} NOT NULL,
    revision   {int} NOT NULL,
    created_by TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL
);
CREATE UNIQUE INDEX access_links_by_hash ON access_links (hash);
CREATE INDEX access_links_by_project ON access_links (project, id);

-- +goose Down
DROP TABLE access_links;
DROP TABLE access_tokens;
DROP TABLE access_sessions;
DROP TABLE access_grants;
DROP TABLE access_users;
