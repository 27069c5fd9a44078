-- +goose Up

-- Answers to POSTs with an Idempotency-Key. The answer's body is in the table
-- secrets, under the name in body, because it may hold a token that is shown
-- once.
CREATE TABLE idempotency (
    principal  {key} NOT NULL,
    idem_key   {key} NOT NULL,
    hash       {bytes} NOT NULL,
    holder     {key} NOT NULL,
    status     {int} NOT NULL,
    header     TEXT NOT NULL,
    body       {key} NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    PRIMARY KEY (principal, idem_key)
);
CREATE INDEX idempotency_by_end ON idempotency (expires_at);

-- Long work that goes on after its request was answered. How far it is, is read
-- from the resource it works on.
CREATE TABLE operations (
    id          {key} PRIMARY KEY,
    kind        {key} NOT NULL,
    project     {key} NOT NULL,
    environment {key} NOT NULL,
    target_kind {key} NOT NULL,
    target_id   {key} NOT NULL,
    detail      TEXT NOT NULL,
    created_at  {int} NOT NULL
);
CREATE INDEX operations_by_target ON operations (target_id, id);
CREATE INDEX operations_by_age ON operations (created_at);

-- +goose Down
DROP TABLE operations;
DROP TABLE idempotency;
