-- +goose Up

-- Zones as they were transferred from their primaries, in pieces that fit a line
-- of a backup. What is known of them is in the zones' statuses.
CREATE TABLE zone_copies (
    zone  {key} NOT NULL,
    piece {int} NOT NULL,
    body  {bytes} NOT NULL,
    PRIMARY KEY (zone, piece)
);

-- +goose Down
DROP TABLE zone_copies;
