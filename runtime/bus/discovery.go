package bus

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

const (
	// maxDiscoveryRequests and maxDiscoveryBytes bound the requests of `nats micro` that wait, for each subject.
	maxDiscoveryRequests = 64
	maxDiscoveryBytes    = 64 << 10
)

// Discovery makes a process known by the NATS services protocol (ADR-32), which `nats micro` uses. Package micro of
// nats.go implements the protocol too, but it replies to any subject, so that a client could have the service publish
// for it; it calls the handlers of requests in goroutines of their own, where they lose their order; and it offers
// endpoints whose subscription the server has refused.
//
// Subscribe and Unsubscribe belong to one goroutine. The others are safe for concurrent use.
type Discovery struct {
	info          micro.Info
	started       time.Time
	conn          *Conn
	subscriptions []*nats.Subscription

	mu    sync.Mutex                     // guards info.Endpoints and info.Metadata too
	stats map[string]micro.EndpointStats // by subject
}

// DiscoveryOptions describe a process. Conn and Name are required.
type DiscoveryOptions struct {
	Conn *Conn
	// Name is letters, digits, '-' and '_'. All processes that share requests have the same.
	Name string
	// Version is that of the program. What is no semantic version is shown as 0.0.0.
	Version, Description string
	Metadata             map[string]string
	Endpoints            []micro.EndpointInfo
}

// NewDiscovery returns a Discovery, which nobody knows before Subscribe.
func NewDiscovery(o DiscoveryOptions) *Discovery {
	d := &Discovery{
		info: micro.Info{
			Type: micro.InfoResponseType, Description: o.Description,
			ServiceIdentity: micro.ServiceIdentity{
				Name: o.Name, ID: rand.Text(), Version: semanticVersion(o.Version), Metadata: o.Metadata,
			},
		},
		conn: o.Conn, started: time.Now().UTC(), stats: map[string]micro.EndpointStats{},
	}
	for _, endpoint := range o.Endpoints {
		d.Add(endpoint)
	}
	return d
}

// Add adds an endpoint.
func (d *Discovery) Add(endpoint micro.EndpointInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.info.Endpoints = append(slices.Clone(d.info.Endpoints), endpoint)
	d.stats[endpoint.Subject] = micro.EndpointStats{
		Name: endpoint.Name, Subject: endpoint.Subject, QueueGroup: endpoint.QueueGroup,
	}
}

// Remove removes the endpoint with a subject, and what was counted of it.
func (d *Discovery) Remove(subject string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.info.Endpoints = slices.DeleteFunc(slices.Clone(d.info.Endpoints), func(endpoint micro.EndpointInfo) bool {
		return endpoint.Subject == subject
	})
	delete(d.stats, subject)
}

var releaseVersion = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$`)

// semanticVersion returns the version in the form that the services protocol requires: 0.0.0 if it is not a release.
func semanticVersion(version string) string {
	if parts := releaseVersion.FindStringSubmatch(version); parts != nil {
		return parts[1]
	}
	return "0.0.0"
}

// SetMetadata sets what the metadata say under a key from now on. Empty: it is not there.
func (d *Discovery) SetMetadata(key, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.info.Metadata = maps.Clone(d.info.Metadata) // replies that are being encoded have the former one
	if d.info.Metadata == nil {
		d.info.Metadata = map[string]string{}
	}
	d.info.Metadata[key] = value
	if value == "" {
		delete(d.info.Metadata, key)
	}
}

// ID returns the ID of this process.
func (d *Discovery) ID() string { return d.info.ID }

// Subscribe subscribes to the protocol's subjects: for each verb those of all services, of this one and of this
// process. A user may lack the permission for any of them; see Refused.
func (d *Discovery) Subscribe() error {
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb: d.ping, micro.InfoVerb: d.describe, micro.StatsVerb: d.statistics,
	} {
		for _, of := range [][2]string{{"", ""}, {d.info.Name, ""}, {d.info.Name, d.info.ID}} {
			subject, err := micro.ControlSubject(verb, of[0], of[1])
			if err != nil {
				return fmt.Errorf("subscribing for %s: %w", micro.APIPrefix, err)
			}
			subscription, err := d.conn.NATS().Subscribe(subject, func(m *nats.Msg) { replyToDiscovery(m, answer) })
			if err == nil {
				err = subscription.SetPendingLimits(maxDiscoveryRequests, maxDiscoveryBytes)
			}
			if err != nil {
				return fmt.Errorf("subscribing to %s: %w", subject, err)
			}
			d.subscriptions = append(d.subscriptions, subscription)
		}
	}
	return nil
}

// replyToDiscovery replies to a request of the protocol, if it asks for a reply to an inbox.
func replyToDiscovery(m *nats.Msg, answer func() any) {
	if !IsInbox(m.Reply) {
		return
	}
	if data, err := json.Marshal(answer()); err == nil {
		_ = m.Respond(data) // fails without a connection, and then nobody waits for it
	}
}

// Unsubscribe ends the subscriptions.
func (d *Discovery) Unsubscribe(log *slog.Logger) {
	for _, subscription := range d.subscriptions {
		if err := subscription.Unsubscribe(); err != nil {
			log.Debug("[NATS] cannot unsubscribe", "subject", subscription.Subject, "error", err)
		}
	}
	d.subscriptions = nil
}

// Refused reports whether the server has refused the subscription by which the process is asked for its endpoints by
// name.
func (d *Discovery) Refused() bool {
	subject, err := micro.ControlSubject(micro.InfoVerb, d.info.Name, "")
	return err == nil && d.conn.Denied(subject)
}

func (d *Discovery) ping() any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return micro.Ping{ServiceIdentity: d.info.ServiceIdentity, Type: micro.PingResponseType}
}

// describe leaves out endpoints that nobody reaches.
func (d *Discovery) describe() any {
	d.mu.Lock()
	info := d.info
	d.mu.Unlock()
	info.Endpoints = slices.DeleteFunc(slices.Clone(info.Endpoints), func(endpoint micro.EndpointInfo) bool {
		return d.conn.Denied(endpoint.Subject)
	})
	return info
}

func (d *Discovery) statistics() any {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := micro.Stats{ServiceIdentity: d.info.ServiceIdentity, Type: micro.StatsResponseType, Started: d.started}
	for _, endpoint := range d.info.Endpoints {
		one := d.stats[endpoint.Subject]
		if one.NumRequests > 0 {
			one.AverageProcessingTime = one.ProcessingTime / time.Duration(one.NumRequests)
		}
		all.Endpoints = append(all.Endpoints, &one)
	}
	return all
}

// Count counts a request on the subject of an endpoint, and nothing for other subjects. The time since its arrival is
// its processing time. failure is what everybody may know of why it failed. Empty: it did not.
func (d *Discovery) Count(subject string, arrived time.Time, failure string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats, known := d.stats[subject]
	if !known {
		return
	}
	stats.NumRequests++
	stats.ProcessingTime += time.Since(arrived)
	if failure != "" {
		stats.NumErrors++
		stats.LastError = failure
	}
	d.stats[subject] = stats
}
