package bot

import "time"

// Timings are how often the bot does things and how long it waits. Zero means the default.
type Timings struct {
	// Dial bounds connecting, joining and logging in together.
	Dial time.Duration
	// Status is the time between two status updates.
	Status time.Duration
	// UserCount is the time between two samples of how many are there.
	UserCount time.Duration
	// Outbound is the time between two looks for lines to say.
	Outbound time.Duration
	// Echo is how long a line may take to come back before it counts as not said.
	Echo time.Duration
	// Confirm is how long the server may take to show that it did what a command asked for.
	Confirm time.Duration
	// Settle is how long the bot must have been unable to chat before lines are given up for it.
	Settle time.Duration
	// RetryMin and RetryMax bound the wait before another try to get into the channel.
	RetryMin, RetryMax time.Duration
	// ConnectionLimit is the least wait when the server limits connections: CyTube lets one address
	// in once in ten seconds after a burst of five.
	ConnectionLimit time.Duration
	// Kick is the least wait after a kick, Ban the least after a ban: who comes back at once makes it worse.
	Kick, Ban time.Duration
	// Steady is how long a session must last for the next wait to be short again: who is kicked at
	// once after every join must not come back every second.
	Steady time.Duration
	// Secrets is the time between two looks at password files while one is absent or wrong.
	Secrets time.Duration
	// GiveUp is how long a bot that has the lock tries to get in before it lets another try, and StandBack
	// how long it then leaves the lock to others.
	GiveUp, StandBack time.Duration
	// Lock is the time between two looks whether a lock that ran out is ours again.
	Lock time.Duration
	// Leave bounds telling the server that the bot leaves.
	Leave time.Duration
	// Drain bounds the sending of what is left when the bot ends. A pod has 30 s to end.
	Drain time.Duration
}

func (t Timings) withDefaults() Timings {
	for _, each := range []struct {
		field        *time.Duration
		defaultValue time.Duration
	}{
		{&t.Dial, 30 * time.Second},
		{&t.Status, 10 * time.Second},
		{&t.UserCount, 5 * time.Minute},
		{&t.Outbound, 2 * time.Second},
		{&t.Echo, 5 * time.Second},
		{&t.Confirm, 3 * time.Second},
		{&t.Settle, 10 * time.Second},
		{&t.RetryMin, 2 * time.Second},
		{&t.RetryMax, time.Minute},
		{&t.ConnectionLimit, 10 * time.Second},
		{&t.Kick, 10 * time.Second},
		{&t.Ban, 15 * time.Minute},
		{&t.Steady, time.Minute},
		{&t.Secrets, time.Second},
		{&t.GiveUp, 30 * time.Second},
		{&t.StandBack, 10 * time.Second},
		{&t.Lock, 50 * time.Millisecond},
		{&t.Leave, 2 * time.Second},
		{&t.Drain, 20 * time.Second},
	} {
		if *each.field == 0 {
			*each.field = each.defaultValue
		}
	}
	return t
}
