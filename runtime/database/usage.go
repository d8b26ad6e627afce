package database

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/telemetry"
)

const (
	// Measuring reads all rows. If it takes longer than shortMeasurement, it may take only a part of the time:
	// measurePause is how often the pause that follows is as long.
	shortMeasurement = time.Second
	measurePause     = 60
	// nearLimit is the part of a limit from which on the log says who is near it.
	nearLimit = 0.8
)

// usage is how much is stored in each channel: as measured at the start and by maintenance, with what this process has
// stored since. Other services of the same database count for themselves in between, and a message that is repeated
// counts until the next measurement. So a limit is exact to what arrives between two measurements.
type usage struct {
	mu sync.Mutex
	// channels are by the folded channel, with what was measured and stored since; stored is only what was stored since
	// the last measurement began.
	channels, stored map[store.Channel]*channelUse
	// lines are the highest IDs of outbound lines, by the folded channel.
	lines map[store.Channel]int64
	// next is when usage may be measured again.
	next time.Time
}

// channelUse is the usage of a channel.
type channelUse struct {
	rows, bytes, people int64
	// names are folded names of users that are stored, of those who were seen since the last measurement.
	names map[string]bool
}

func (u *usage) reset() {
	u.channels, u.stored = map[store.Channel]*channelUse{}, map[store.Channel]*channelUse{}
	u.lines = map[store.Channel]int64{}
}

func useOf(all map[store.Channel]*channelUse, channel store.Channel) *channelUse {
	key := foldedChannel(channel)
	if all[key] == nil {
		all[key] = &channelUse{names: map[string]bool{}}
	}
	return all[key]
}

// personOf returns the folded name of the user whom a fact makes known. Empty: none.
func personOf(fact store.Fact) string {
	switch fact := fact.(type) {
	case store.UserJoined:
		return store.Fold(fact.Username)
	case store.UserLeft:
		return store.Fold(fact.Username)
	case store.ChatLine:
		return store.Fold(fact.Username)
	}
	return ""
}

// rowOf returns the size of the texts in the row that an event adds, as store.ChannelUsage counts them. isRow is false
// if it adds none.
func rowOf(event store.Event) (size int, isRow bool) {
	size = 2 * len(event.ID)
	switch fact := event.Fact.(type) {
	case store.UserJoined:
		return size + len(fact.Username), true
	case store.UserLeft:
		return size + len(fact.Username), true
	case store.ChatLine:
		return size + len(fact.Username) + len(fact.Text), true
	case store.Action:
		by := fact.Plugin
		return size + len(fact.Username) + len(fact.Type) + len(fact.Details) + len(by.Plugin) + len(by.Call) + len(by.Did) +
			len(by.Args) + len(by.Said) + len(by.Problem), true
	case store.MediaPlayed:
		texts := len(fact.ItemKey()) + len(fact.Type) + len(fact.ID) + len(fact.Title) + len(fact.QueuedBy)
		return size + texts, true
	case store.UserCount:
		return size, true
	case store.Status:
		return 0, fact.WatchingSince != nil
	}
	return 0, false
}

// addRow counts a row of a channel and its new user, unless a limit refuses them.
func (l *limits) addRow(channel store.Channel, size int, person string) error {
	l.usage.mu.Lock()
	defer l.usage.mu.Unlock()
	use := useOf(l.usage.channels, channel)
	bytes := int64(size) + config.RowOverhead
	isNew := person != "" && !use.names[person]
	switch {
	case use.rows+1 > int64(l.ChannelRows):
		return storedLimit(limitChannelRows, use.rows+1, int64(l.ChannelRows))
	case use.bytes+bytes > int64(l.ChannelBytes):
		return storedLimit(limitChannelBytes, use.bytes+bytes, int64(l.ChannelBytes))
	case isNew && use.people+1 > int64(l.People):
		return storedLimit(limitPeople, use.people+1, int64(l.People))
	}
	for _, use := range []*channelUse{use, useOf(l.usage.stored, channel)} {
		use.rows++
		use.bytes += bytes
		if isNew {
			use.people++
			use.names[person] = true
		}
	}
	return nil
}

// removeRow takes back what addRow has counted, for a request that has added no row. Otherwise a client that repeats
// one line, or whose lines are refused, would have the events of the channel refused.
func (l *limits) removeRow(channel store.Channel, size int) {
	l.usage.mu.Lock()
	defer l.usage.mu.Unlock()
	for _, use := range []*channelUse{useOf(l.usage.channels, channel), useOf(l.usage.stored, channel)} {
		use.rows = max(use.rows-1, 0)
		use.bytes = max(use.bytes-int64(size)-config.RowOverhead, 0)
	}
}

// isNewLine reports whether an outbound line was added and not found by its client ID. IDs increase, so one that is not
// higher than all before is of an earlier line.
func (l *limits) isNewLine(channel store.Channel, id int64) bool {
	l.usage.mu.Lock()
	defer l.usage.mu.Unlock()
	key := foldedChannel(channel)
	if id <= l.usage.lines[key] {
		return false
	}
	l.usage.lines[key] = id
	return true
}

// newPeople returns the names of the users in events who may exceed the limit of people, by channel. A user whose name
// was not seen since the last measurement counts as new until it is known better.
func (l *limits) newPeople(events []store.Event) map[store.Channel][]string {
	l.usage.mu.Lock()
	defer l.usage.mu.Unlock()
	found := map[store.Channel]map[string]bool{}
	for _, event := range events {
		use, person := useOf(l.usage.channels, event.Channel), personOf(event.Fact)
		if person == "" || use.names[person] {
			continue
		}
		key := foldedChannel(event.Channel)
		if found[key] == nil {
			found[key] = map[string]bool{}
		}
		found[key][person] = true
	}
	names := map[store.Channel][]string{}
	for channel, persons := range found {
		if l.usage.channels[channel].people+int64(len(persons)) <= int64(l.People) {
			continue
		}
		for person := range persons {
			names[channel] = append(names[channel], person)
		}
	}
	return names
}

// learn replaces the estimated number of users of a channel by the real one, and remembers who is known.
func (l *limits) learn(channel store.Channel, people int, known map[string]bool) {
	l.usage.mu.Lock()
	defer l.usage.mu.Unlock()
	use := useOf(l.usage.channels, channel)
	use.people = int64(people)
	for name, isKnown := range known {
		if isKnown {
			use.names[name] = true
		}
	}
}

// enforceLimits removes the events of the batch that would exceed a limit of what is stored.
func (b *batch) enforceLimits(ctx context.Context) error {
	for channel, names := range b.limits.newPeople(b.events) {
		err := b.retry(ctx, func() error {
			people, err := b.store.CountUsers(ctx, channel)
			if err != nil {
				return err
			}
			known, err := b.store.KnownUsers(ctx, channel, names)
			if err == nil {
				b.limits.learn(channel, people, known)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("counting users: %w", err)
		}
	}
	events, messages := b.events[:0], b.messages[:0]
	for i, event := range b.events {
		size, isRow := rowOf(event)
		if isRow {
			if err := b.limits.addRow(event.Channel, size, personOf(event.Fact)); err != nil {
				m := b.messages[i]
				b.refused(telemetry.ContextWith(ctx, m.Span), m.Suffix, len(m.Data), m.Time, err)
				fact, isStatus := event.Fact.(store.Status)
				if !isStatus || len(fact.Fields) == 0 {
					continue
				}
				fact.WatchingSince = nil // the fields take no space
				event.Fact = fact
			}
		}
		events, messages = append(events, event), append(messages, b.messages[i])
	}
	b.events, b.messages = events, messages
	return nil
}

// measureUsage measures how much is stored, unless it did so a moment ago.
func (e *Engine) measureUsage(ctx context.Context) error {
	began := time.Now()
	if !e.limits.usage.begin(began) {
		return nil
	}
	channels := slices.Collect(maps.Values(e.channels.current.Load().served))
	used, err := e.store.Usage(ctx, channels, e.deadLetterPrefix())
	if err != nil {
		return fmt.Errorf("measuring usage: %w", err)
	}
	next := began
	if took := time.Since(began); took > shortMeasurement {
		next = time.Now().Add(measurePause * took)
	}
	e.limits.usage.set(used, next)
	e.limits.report(used)
	return nil
}

// begin reports whether usage may be measured at a time.
func (u *usage) begin(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Before(u.next) {
		return false
	}
	u.stored = map[store.Channel]*channelUse{}
	return true
}

// set replaces what was measured before. next is when usage may be measured again.
func (u *usage) set(measured store.Usage, next time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.next = next
	u.channels = u.stored // both from now on; what was stored during the measurement may be counted twice
	u.stored = map[store.Channel]*channelUse{}
	for _, channel := range measured.Channels {
		use := useOf(u.channels, channel.Channel)
		use.rows += channel.Rows
		use.bytes += channel.Bytes
		use.people += channel.People
	}
}

// share is how much of a limit is used, and by whom.
type share struct {
	limit           limit
	part            float64
	channel, plugin string
	used, allowed   int64
}

// report updates the metrics of usage, and logs who is near a limit.
func (l *limits) report(used store.Usage) {
	highest := map[limit]share{}
	note := func(limit limit, channel, plugin string, used int64, allowed int) {
		part := float64(used) / float64(allowed)
		if part >= highest[limit].part {
			highest[limit] = share{limit, part, channel, plugin, used, int64(allowed)}
		}
	}
	for _, channel := range used.Channels {
		name := channelName(channel.Channel)
		note(limitChannelRows, name, "", channel.Rows, l.ChannelRows)
		note(limitChannelBytes, name, "", channel.Bytes, l.ChannelBytes)
		note(limitPeople, name, "", channel.People, l.People)
		note(limitOutboundWaiting, name, "", channel.OutboundWaiting, l.OutboundWaiting)
		note(limitKVPlugins, name, "", int64(len(channel.Plugins)), l.KVPlugins)
		var total int64
		for _, plugin := range channel.Plugins {
			note(limitKVKeys, name, plugin.Plugin, plugin.Keys, l.KVKeys)
			note(limitKVBytes, name, plugin.Plugin, plugin.Bytes, l.KVBytes)
			total += plugin.Bytes
		}
		note(limitKVChannelBytes, name, "", total, l.KVChannelBytes)
	}
	note(limitDeadLetters, "", "", used.DeadLetters, l.DeadLetters)
	note(limitDeadLetterBytes, "", "", used.DeadLetterBytes, l.DeadLetterBytes)
	for _, limit := range storedLimits {
		l.metrics.limitUsed.WithLabelValues(string(limit)).Set(highest[limit].part)
	}
	l.logNear(highest)
}

func (l *limits) logNear(highest map[limit]share) {
	for _, limit := range storedLimits {
		near := highest[limit]
		if near.part < nearLimit || limit == limitDeadLetters || limit == limitDeadLetterBytes {
			continue // the oldest dead letters give way to new ones
		}
		l.log.Warn("[DB] a limit is nearly reached", "limit", limit, "used", near.used, "allowed", near.allowed,
			"channel", near.channel, "plugin", status.OneLine(near.plugin, maxNameInError))
	}
}

// kvQuota returns the quota of a plugin's keys.
func (l *limits) kvQuota() store.KVQuota {
	return store.KVQuota{Keys: l.KVKeys, Bytes: l.KVBytes, Plugins: l.KVPlugins, ChannelBytes: l.KVChannelBytes}
}

// countRemoved counts dead letters that gave way to newer ones.
func (l *limits) countRemoved(ctx context.Context, removed int64) {
	if removed == 0 {
		return
	}
	l.metrics.refused.WithLabelValues(string(limitDeadLetters)).Add(float64(removed))
	if l.logged[limitDeadLetters].due(time.Now()) {
		l.log.WarnContext(ctx, "[DB] dead letters reached their limit, and the oldest are removed", "removed", removed)
	}
}
