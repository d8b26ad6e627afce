-- A UUID of this database.

-- +goose Up

-- One row, inserted here so that it always exists. A copy of the database has the same.
CREATE TABLE identity (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  id TEXT NOT NULL
) STRICT;

-- A random UUID (RFC 9562, version 4).
INSERT INTO identity (only, id) VALUES (1, lower(
  hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' ||
  substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))));
