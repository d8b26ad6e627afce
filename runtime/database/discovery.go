package database

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// maxDiscoveryRequests and maxDiscoveryBytes bound the requests of `nats micro` that wait, for each subject.
	maxDiscoveryRequests = 64
	maxDiscoveryBytes    = 64 << 10
)

// discovery makes the service known by the NATS services protocol, which `nats micro` uses. Package micro implements
// the protocol too, but it replies to any subject, so that a client could have the service publish for it, and it calls
// the handlers of requests in goroutines of their own, where they lose their order.
type discovery struct {
	info    micro.Info
	started time.Time

	subscriptions []*nats.Subscription // nil while not subscribed; belongs to the subscriber

	mu    sync.Mutex
	stats map[bus.Suffix]micro.EndpointStats
}

func newDiscovery(o ServiceOptions) *discovery {
	d := &discovery{
		info: micro.Info{
			Type: micro.InfoResponseType, Description: "Rosey's database service",
			ServiceIdentity: micro.ServiceIdentity{
				Name: o.Subjects.ConsumerName(), ID: rand.Text(), Version: semanticVersion(o.Version),
				Metadata: map[string]string{
					"prefix": strings.TrimSuffix(o.Subjects.Subject(""), "."), "version": o.Version,
					"server": o.Channel.Server, "channel": o.Channel.Name,
				},
			},
		},
		started: time.Now().UTC(), stats: map[bus.Suffix]micro.EndpointStats{},
	}
	for _, suffix := range requestSubjects {
		endpoint := micro.EndpointInfo{
			Name: endpointName(suffix), Subject: o.Subjects.Subject(suffix), QueueGroup: o.Subjects.QueueGroup(),
		}
		d.info.Endpoints = append(d.info.Endpoints, endpoint)
		d.stats[suffix] = micro.EndpointStats{
			Name: endpoint.Name, Subject: endpoint.Subject, QueueGroup: endpoint.QueueGroup,
		}
	}
	return d
}

// endpointName returns the name of an endpoint: its subject in the characters that the protocol allows.
func endpointName(suffix bus.Suffix) string {
	return strings.ReplaceAll(strings.TrimPrefix(string(suffix), "db."), ".", "_")
}

var releaseVersion = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$`)

// semanticVersion returns the version in the form that the services protocol requires: 0.0.0 if it is not a release.
func semanticVersion(version string) string {
	if parts := releaseVersion.FindStringSubmatch(version); parts != nil {
		return parts[1]
	}
	return "0.0.0"
}

// subscribe subscribes to the protocol's subjects: for each verb those of all services, of this one and of this
// process.
func (d *discovery) subscribe(conn *nats.Conn) error {
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  d.ping,
		micro.InfoVerb:  func() any { return d.info },
		micro.StatsVerb: d.statistics,
	} {
		for _, of := range [][2]string{{"", ""}, {d.info.Name, ""}, {d.info.Name, d.info.ID}} {
			subject, err := micro.ControlSubject(verb, of[0], of[1])
			if err != nil {
				return fmt.Errorf("%w for %s: %w", errSubscribing, micro.APIPrefix, err)
			}
			subscription, err := conn.Subscribe(subject, func(m *nats.Msg) { reply(m, answer) })
			if err == nil {
				err = subscription.SetPendingLimits(maxDiscoveryRequests, maxDiscoveryBytes)
			}
			if err != nil {
				return fmt.Errorf("%w for %s: %w", errSubscribing, subject, err)
			}
			d.subscriptions = append(d.subscriptions, subscription)
		}
	}
	return nil
}

// reply replies to a request of the protocol, if it asks for a reply to an inbox.
func reply(m *nats.Msg, answer func() any) {
	if !bus.IsInbox(m.Reply) {
		return
	}
	if data, err := json.Marshal(answer()); err == nil {
		_ = m.Respond(data) // fails without a connection, and then nobody waits for it
	}
}

// unsubscribe ends the subscriptions.
func (d *discovery) unsubscribe(log *slog.Logger) {
	for _, subscription := range d.subscriptions {
		if err := subscription.Unsubscribe(); err != nil {
			log.Debug("[NATS] cannot unsubscribe", "subject", subscription.Subject, "error", err)
		}
	}
	d.subscriptions = nil
}

func (d *discovery) ping() any {
	return micro.Ping{ServiceIdentity: d.info.ServiceIdentity, Type: micro.PingResponseType}
}

func (d *discovery) statistics() any {
	all := micro.Stats{ServiceIdentity: d.info.ServiceIdentity, Type: micro.StatsResponseType, Started: d.started}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, suffix := range requestSubjects {
		one := d.stats[suffix]
		if one.NumRequests > 0 {
			one.AverageProcessingTime = one.ProcessingTime / time.Duration(one.NumRequests)
		}
		all.Endpoints = append(all.Endpoints, &one)
	}
	return all
}

// answered counts a request, which has failed if err is not nil. The time since its arrival is its processing time.
func (d *discovery) answered(request bus.Message, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats, known := d.stats[request.Suffix]
	if !known {
		return // a report that was sent as a request
	}
	stats.NumRequests++
	stats.ProcessingTime += time.Since(request.Time)
	if err != nil {
		stats.NumErrors++
		stats.LastError = errUnavailable // the log has the cause
	}
	d.stats[request.Suffix] = stats
}
