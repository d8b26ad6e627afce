package config

// The ways in which a bot reaches its database.
const (
	// ModeNATS publishes to a database service.
	ModeNATS = "nats"
	// ModeDirect opens the store in the bot's own process; there is no NATS at all.
	ModeDirect = "direct"
)

// The ways to use JetStream.
const (
	// JetStreamAuto uses it where the server has it and permits it, and says so where not.
	JetStreamAuto = "auto"
	// JetStreamAlways waits for it.
	JetStreamAlways = "always"
	// JetStreamNever uses core NATS alone.
	JetStreamNever = "never"
)
