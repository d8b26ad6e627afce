package bot

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

// Options configure a Bot. Publisher, Requester, Log and Instance are required.
type Options struct {
	// Publisher must run until Run has returned.
	Publisher Publisher
	Requester speech.Requester
	// Conn and Subjects are for the feed. A nil Conn: there is none.
	Conn     *bus.Conn
	Subjects bus.Subjects
	Log      *slog.Logger
	// Instance is the claimant of outbound lines. It is the pod's name, so that a restarted container gets its own lines
	// back at once.
	Instance string
	// Waiting gets a value when a line may wait in the outbound queue. Nil: the queue is only polled.
	Waiting <-chan struct{}
	// Elector elects the one of several bots that is in the channel. Nil: this bot is the only one.
	Elector *leader.Elector
	// Registerer registers the bot's metrics. Nil: they are not registered.
	Registerer prometheus.Registerer
}

// Bot is one bot in one channel. Use New. Its methods are safe for concurrent use; Run may be called once.
type Bot struct {
	config    config.Config
	publisher Publisher
	requester speech.Requester
	log       *slog.Logger
	metrics   *metrics
	check     *status.Recorder
	timings   timings
	started   time.Time
	ids       *bus.IDs
	instance  string
	tracker   *speech.Tracker // outlives the sessions
	feed      *feed
	waiting   <-chan struct{}
	live      *live
	// sessionCalls are functions that the session's goroutine is to call.
	sessionCalls chan func(*session)

	// elector is nil for a bot that is the only one.
	elector *leader.Elector
	// leadership is nil while the bot stands by.
	leadership atomic.Pointer[leader.Leadership]
	// otherLeader is the pod that was last observed to lead, a string.
	otherLeader atomic.Value

	// counts is for the samples of the numbers of users. Only Run's goroutine uses it.
	counts userCounts
	// lastInChannel is when the bot was last in the channel, or became the leader. Only Run's goroutine uses it.
	lastInChannel time.Time
	// found is for all attempts to join. Only Run's goroutine uses it.
	found cytube.FoundServer
	// dialContext opens connections to the CyTube server. Nil: on the network.
	dialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// closing are the connections that are being closed. Run waits for them, and so does the end of a leadership.
	closing sync.WaitGroup
}

// New returns a Bot for a configuration that config.Sources.Load returned. It does nothing until Run.
func New(configuration config.Config, o Options) *Bot {
	started := time.Now()
	b := &Bot{
		config:       configuration,
		publisher:    o.Publisher,
		requester:    o.Requester,
		log:          o.Log,
		check:        status.NewRecorder(status.ChannelCheck, "joining channel "+configuration.Channel.Name),
		timings:      defaultTimings(),
		started:      started,
		ids:          bus.NewIDs(started),
		instance:     o.Instance,
		tracker:      speech.NewTracker(configuration.Channel.MaxMessageLength),
		sessionCalls: make(chan func(*session)),
		elector:      o.Elector,
		waiting:      o.Waiting,
	}
	b.metrics = newMetrics(o.Registerer, b.leads)
	b.feed = newFeed(o.Conn, o.Subjects, configuration.Channel.Name, b.metrics)
	b.feed.started = started
	b.live = b.newLive(o)
	return b
}

// leaveTimeout bounds the requests by which a bot leaves the channel and releases its leadership.
const leaveTimeout = 2 * time.Second

// timings are intervals and limits that tests shorten.
type timings struct {
	// Status is the time between two status updates, and UserCount the slots of the clock in which the numbers of users
	// are sampled.
	Status, UserCount time.Duration
	// Outbound and RefusalDelay are Poll and RefusalDelay of speech.Options.
	Outbound, RefusalDelay time.Duration
	// RetryMin and RetryMax bound the pause before the next attempt to join.
	RetryMin, RetryMax time.Duration
	// MinPauses are the shortest pauses after some failures.
	MinPauses map[status.Reason]time.Duration
	// Limits are those of the server, by the reason of a refusal. They replace the back-off.
	Limits map[status.Reason]serverLimit
	// Live is the time between two reads of the files that can change while the bot runs.
	Live time.Duration
	// Secrets is the time between two reads of a password's file while the password is absent or was refused.
	Secrets time.Duration
	// ResignAfter is how long a leader tries to join before it resigns, and ResignPause how long it then leaves the
	// leadership to others.
	ResignAfter, ResignPause time.Duration
	// Drain bounds the delivery of the last events when Run ends. Kubernetes gives a pod 30 s to end.
	Drain time.Duration
}

func defaultTimings() timings {
	return timings{
		Status: 10 * time.Second, UserCount: 5 * time.Minute,
		Outbound: 2 * time.Second, RefusalDelay: 10 * time.Second,
		RetryMin: 2 * time.Second, RetryMax: 30 * time.Second,
		MinPauses: map[status.Reason]time.Duration{
			status.ReasonDuplicateLogin: 10 * time.Second,
			// Coming back at once provokes moderators.
			status.ReasonKicked: 10 * time.Second,
			status.ReasonBanned: 15 * time.Minute,
		},
		Limits:      cytubeLimits(),
		Live:        liveInterval,
		Secrets:     time.Second,
		ResignAfter: 30 * time.Second, ResignPause: 10 * time.Second,
		Drain: 18 * time.Second,
	}
}

// Run keeps the bot in its channel until ctx ends; with an Elector, only while it leads. Then it leaves the channel and
// waits until its last events are delivered. An error means that some were not. Problems with the channel do not end
// Run: each of them can be solved from outside while it retries.
func (b *Bot) Run(ctx context.Context) error {
	defer b.closing.Wait()
	feeding, stop := context.WithCancel(context.WithoutCancel(ctx)) // the events of leaving are published too
	var background sync.WaitGroup
	background.Go(func() { b.feed.run(feeding) })
	b.readLive(ctx)
	background.Go(func() { b.watchLive(feeding) })
	defer background.Wait()
	defer stop()
	next := newAttempt(b.timings)
	if b.elector == nil {
		b.answering(ctx, func() { b.servingPlugins(ctx, func() { b.keepJoined(ctx, next) }) })
	} else {
		b.standBy(ctx, next)
	}
	b.reportStopping()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timings.Drain)
	defer cancel()
	return b.publisher.Flush(drain)
}
