-- +goose Up

-- What each CA was asked for, so that the platform stays below the CA's limits
-- across restarts: a row for each thing that one attempt counted as.
CREATE TABLE issuance_spent (
    id        {key} NOT NULL,
    authority {key} NOT NULL,
    kind      {key} NOT NULL,
    subject   {key} NOT NULL,
    at        {int} NOT NULL,
    PRIMARY KEY (id, kind, subject)
);
CREATE INDEX issuance_spent_by_subject ON issuance_spent (authority, kind, subject, at);
CREATE INDEX issuance_spent_by_age ON issuance_spent (at);

-- Until when a CA wants to be left alone, about one registered domain or ('') at
-- all.
CREATE TABLE issuance_pauses (
    authority {key} NOT NULL,
    subject   {key} NOT NULL,
    until     {int} NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (authority, subject)
);

-- +goose Down
DROP TABLE issuance_pauses;
DROP TABLE issuance_spent;
