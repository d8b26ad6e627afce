package legacy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Program is the program that wrote a file, with its generation if that makes a difference.
type Program string

// The programs of which files can be imported.
const (
	// The two generations of the Python bot that have databases. They differ in columns only; tables that both have mean
	// the same.
	PythonSynchronous Program = "a Python Rosey with sqlite3 (up to 0.5)"
	PythonORM         Program = "a Python Rosey with SQLAlchemy (0.6 and later)"
	// CytubeBotFork continues a file of CytubeBot, with columns and tables of its own.
	CytubeBot     Program = "nuclearace/CytubeBot"
	CytubeBotFork Program = "airforce270/CytubeBot"
)

// isCytubeBot reports whether the program is one of those that are called CytubeBot.
func (p Program) isCytubeBot() bool { return p == CytubeBot || p == CytubeBotFork }

// requiredColumns identify a database of a program. All others may be absent: each program adds some to older files
// when it opens them.
type requiredColumns map[string][]string

var (
	pythonColumns = requiredColumns{
		"user_stats": {
			"username", "first_seen", "last_seen", "total_chat_lines", "total_time_connected", "current_session_start",
		},
		"channel_stats":      {"max_users", "max_users_timestamp"},
		"user_count_history": {"timestamp", "chat_users", "connected_users"},
		"recent_chat":        {"id", "timestamp", "username", "message"},
		"outbound_messages":  {"id", "timestamp", "message", "sent"},
		"user_actions":       {"id", "timestamp", "username", "action_type", "details"},
	}
	cytubeBotColumns = requiredColumns{
		"chat":        {"timestamp", "username", "msg", "channel"},
		"users":       {"uname", "blacklisted", "block"},
		"user_count":  {"timestamp", "count"},
		"videos":      {"type", "id", "duration_ms", "title", "flags"},
		"video_stats": {"type", "id", "uname"},
	}
)

// missing returns what the first table or column is that a file lacks. Empty: it has all.
func (r requiredColumns) missing(columns map[string][]string) string {
	for _, table := range slices.Sorted(maps.Keys(r)) { // so that the error is the same each time
		if len(columns[table]) == 0 {
			return "it has no table " + table
		}
		for _, column := range r[table] {
			if !slices.Contains(columns[table], column) {
				return fmt.Sprintf("table %s has no column %s", table, column)
			}
		}
	}
	return ""
}

// recognize returns the program that made a file with such columns of tables.
func recognize(columns map[string][]string) (Program, error) {
	has := func(table, column string) bool { return slices.Contains(columns[table], column) }
	if has("goose_db_version", "version_id") && has("store", "uuid") {
		return "", errors.New("it is a database of this program: use `rosey db restore`")
	}
	noPython, noCytubeBot := pythonColumns.missing(columns), cytubeBotColumns.missing(columns)
	switch {
	case noPython == "" && (has("outbound_messages", "error_message") || has("plugin_kv_storage", "key")):
		return PythonORM, nil
	case noPython == "":
		return PythonSynchronous, nil
	case noCytubeBot == "" && (has("users", "suspended_until_unix") || has("modules", "name")):
		return CytubeBotFork, nil
	case noCytubeBot == "":
		return CytubeBot, nil
	}
	return "", fmt.Errorf("it is not the database of a Python Rosey: %s; nor that of a CytubeBot: %s; %s",
		noPython, noCytubeBot, describeTables(columns))
}

// describeTables says which tables there are.
func describeTables(columns map[string][]string) string {
	const shown = 10
	tables := slices.Sorted(maps.Keys(columns))
	if len(tables) == 0 {
		return "it has no tables"
	}
	names := make([]string, 0, shown)
	for _, name := range tables[:min(shown, len(tables))] {
		names = append(names, fmt.Sprintf("%.60q", name))
	}
	text := "it has the tables " + strings.Join(names, ", ")
	if others := len(tables) - len(names); others > 0 {
		text += fmt.Sprintf(" and %d others", others)
	}
	return text
}
