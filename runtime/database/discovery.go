package database

import (
	"strings"

	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
)

// newDiscovery returns what makes the service known to `nats micro`.
func newDiscovery(o ServiceOptions) *bus.Discovery {
	options := bus.DiscoveryOptions{
		Conn: o.Conn, Name: o.Subjects.ConsumerName(), Version: o.Version, Description: "Rosey's database service",
		Metadata: map[string]string{
			"prefix": o.Subjects.Prefix(), "version": o.Version, "server": o.Channel.Server, "channel": o.Channel.Name,
		},
	}
	for _, suffix := range requestSubjects {
		options.Endpoints = append(options.Endpoints, micro.EndpointInfo{
			Name: endpointName(suffix), Subject: o.Subjects.Subject(suffix), QueueGroup: o.Subjects.QueueGroup(),
		})
	}
	return bus.NewDiscovery(options)
}

// endpointName returns the name of an endpoint: its subject in the characters that the protocol allows.
func endpointName(suffix bus.Suffix) string {
	return strings.NewReplacer(".*.*.", "_plugin_", ".", "_").Replace(strings.TrimPrefix(string(suffix), "db."))
}
