package database

import "time"

// The options below are for tests alone.

// WithGracePeriod bounds storing what has arrived at the end.
func WithGracePeriod(d time.Duration) func(*ServiceOptions) {
	return func(o *ServiceOptions) { o.GracePeriod = d }
}

// WithMaintenanceInterval is the time between two maintenance runs.
func WithMaintenanceInterval(o *EngineOptions, d time.Duration) { o.maintenanceInterval = d }

// WithRemovalGrace is how long announced removals wait.
func WithRemovalGrace(o *EngineOptions, d time.Duration) { o.removalGrace = d }

// WithIdleTimeout is how long a database stays open after its last use.
func WithIdleTimeout(d time.Duration) func(*DirectOptions) {
	return func(o *DirectOptions) { o.idleTimeout = d }
}

// WithChannelsInterval is the time between two readings of the list of channels and of their owners.
func WithChannelsInterval(o *EngineOptions, d time.Duration) { o.channelsInterval = d }

// WithMaxRequestAge is how long a request may have waited when its turn comes.
func WithMaxRequestAge(d time.Duration) func(*ServiceOptions) {
	return func(o *ServiceOptions) { o.maxRequestAge = d }
}

// WithTakeover is for how long nobody may have consumed a stream before it is taken over: without and with a request.
func WithTakeover(abandoned, absent time.Duration) func(*ServiceOptions) {
	return func(o *ServiceOptions) { o.abandonedAfter, o.absentAfter = abandoned, absent }
}

// BacklogInterval replaces backlogInterval.
func BacklogInterval(d time.Duration) func(*ServiceOptions) {
	return func(o *ServiceOptions) { o.backlogInterval = d }
}
