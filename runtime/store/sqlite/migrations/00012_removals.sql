-- Removals of rows that were announced because the retention ends for many of them at once.

-- +goose Up

CREATE TABLE removals (
    kind         TEXT    NOT NULL,
    served_by    TEXT    NOT NULL, -- as of the rule: the prefix of a service, empty for all channels
    kept_ms      INTEGER NOT NULL, -- the retention
    announced_at INTEGER NOT NULL,
    PRIMARY KEY (kind, served_by)
) STRICT, WITHOUT ROWID;
