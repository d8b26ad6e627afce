-- What plugins caused.

-- +goose Up

-- Empty plugin: none caused the action, and the other columns are empty too. call_id is the ID of the call because of
-- which it was done, empty if the plugin did it by itself. did is the command, or what the plugin asked for. problem is
-- why it failed, empty if it did not.
ALTER TABLE user_actions
    ADD COLUMN plugin  text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN call_id text NOT NULL DEFAULT '',
    ADD COLUMN did     text NOT NULL DEFAULT '',
    ADD COLUMN args    text NOT NULL DEFAULT '',
    ADD COLUMN said    text NOT NULL DEFAULT '',
    ADD COLUMN problem text NOT NULL DEFAULT '';

CREATE INDEX plugin_actions_by_time ON user_actions (channel_id, at, event_id) WHERE plugin <> '';
CREATE INDEX plugin_actions_by_plugin ON user_actions (channel_id, plugin, at, event_id) WHERE plugin <> '';
