package config

import "strings"

// v2Ignored are the keys of Rosey v2 that have no effect here, or their sections, and why.
var v2Ignored = []struct{ path, why string }{
	{"nats.connection_timeout", "a connection is given 2 s"},
	{"nats.max_reconnect_attempts", "NATS is waited for without end"},
	{"nats.reconnect_delay", "it is between 0.25 and 2 s"},
	{"database.run_as_service", "`rosey run` has the database service in it, beside `rosey bot` it is `rosey db`"},
	{"platforms[0].restart_delay", "the bot comes back with a growing pause"},
	{"platforms[0].response_timeout", "it had none in Rosey v2"},
	{"platforms[0].type", "it had none in Rosey v2: the bot speaks CyTube"},
	{"platforms[0].name", "it had none in Rosey v2"},
	{"platforms", "only the first platform is used, as in Rosey v2; run a bot for each channel"},
	{"shell.host", "commands are private messages in the channel"},
	{"shell.port", "commands are private messages in the channel"},
	{"logging", "the log is one stream, on standard error"},
	{"llm", "there is no language model in this bot"},
	{"plugins", "it had none in Rosey v2"},
	{"proxy", "connections are made directly; for a SOCKS proxy set HTTPS_PROXY=socks5://HOST:1080 in the environment"},
	{"retry_delay", "it had none in Rosey v2"},
	{"retry", "it had none in Rosey v2"},
}

// withoutEffect says why a key has none.
func withoutEffect(path string) string {
	for _, ignored := range v2Ignored {
		rest, found := strings.CutPrefix(path, ignored.path)
		if found && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return "no effect: " + ignored.why
		}
	}
	return "no effect: not a key of Rosey v2"
}
