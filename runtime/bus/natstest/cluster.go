package natstest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/test/porttest"
)

// Cluster is a JetStream cluster: servers that replicate streams.
type Cluster []*Server

// StartCluster starts servers with JetStream on loopback and waits until they have elected a leader that knows all of
// them. Before that it refuses to create a stream with as many replicas.
func StartCluster(t testing.TB, size int) Cluster {
	t.Helper()
	var routes []*url.URL
	var ports []int
	for range size {
		port := porttest.Free(t)
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	var cluster Cluster
	for i, port := range ports {
		cluster = append(cluster, Start(t, JetStream(t), func(o *server.Options) {
			o.ServerName, o.Routes = fmt.Sprintf("n%d", i+1), routes
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}
		}))
	}
	Within(t, time.Minute, "a leader that knows all servers", cluster.isComplete)
	return cluster
}

func (c Cluster) isComplete() bool {
	for _, one := range c {
		if one.running != nil && one.running.JetStreamIsLeader() {
			return len(one.running.JetStreamClusterPeers()) == len(c)
		}
	}
	return false
}

// URL returns the URLs of all servers, for clients.
func (c Cluster) URL() string {
	var urls []string
	for _, one := range c {
		urls = append(urls, one.URL())
	}
	return strings.Join(urls, ",")
}

// LeaderOf returns the leader of a stream, or nil while there is none.
func (c Cluster) LeaderOf(stream string) *Server {
	for _, one := range c {
		if one.running != nil && one.running.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return one
		}
	}
	return nil
}
