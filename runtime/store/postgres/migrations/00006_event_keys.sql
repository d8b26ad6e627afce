-- An event ID counts within its channel, and dead letters belong to the service that received them.

-- +goose Up

-- Publishers choose IDs: one that is used in a channel must not keep an event of another channel out.
ALTER TABLE presence     DROP CONSTRAINT presence_pkey,     ADD PRIMARY KEY (event_id, channel_id);
ALTER TABLE chat         DROP CONSTRAINT chat_pkey,         ADD PRIMARY KEY (event_id, channel_id);
ALTER TABLE user_counts  DROP CONSTRAINT user_counts_pkey,  ADD PRIMARY KEY (event_id, channel_id);
ALTER TABLE user_actions DROP CONSTRAINT user_actions_pkey, ADD PRIMARY KEY (event_id, channel_id);

-- The subject prefix of the service. Empty: it is not known.
ALTER TABLE dead_letters ADD COLUMN prefix text COLLATE "C" NOT NULL DEFAULT '';
DROP INDEX dead_letters_once;
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (prefix, msg_id, subject) WHERE msg_id <> '';
