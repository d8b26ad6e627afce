-- What plugins caused.

-- +goose Up

-- Empty: no plugin caused the action, and the other columns are empty too.
ALTER TABLE user_actions ADD COLUMN plugin TEXT NOT NULL DEFAULT '';
-- The ID of the call because of which it was done. Empty: the plugin did it by itself.
ALTER TABLE user_actions ADD COLUMN call_id TEXT NOT NULL DEFAULT '';
-- The command, or what the plugin asked for.
ALTER TABLE user_actions ADD COLUMN did TEXT NOT NULL DEFAULT '';
ALTER TABLE user_actions ADD COLUMN args TEXT NOT NULL DEFAULT '';
ALTER TABLE user_actions ADD COLUMN said TEXT NOT NULL DEFAULT '';
-- Why it failed. Empty: it did not.
ALTER TABLE user_actions ADD COLUMN problem TEXT NOT NULL DEFAULT '';

-- Not a partial index: SQLite would take user_actions_by_time, and read all actions of users to find those of plugins.
CREATE INDEX plugin_actions_by_time ON user_actions (channel_id, (plugin <> ''), at);
CREATE INDEX plugin_actions_by_plugin ON user_actions (channel_id, plugin, at) WHERE plugin <> '';
