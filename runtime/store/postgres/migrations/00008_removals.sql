-- Removals of rows that were announced because the retention ends for many of them at once.

-- +goose Up

CREATE TABLE removals (
    kind         text COLLATE "C" NOT NULL,
    served_by    text COLLATE "C" NOT NULL, -- as of the rule: the prefix of a service, empty for all channels
    kept_ms      bigint NOT NULL, -- the retention
    announced_at bigint NOT NULL,
    PRIMARY KEY (kind, served_by)
);
