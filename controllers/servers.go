package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// DefaultConnections is how many connections at once a CyTube server allows from one address by default
// (io.ip-connection-limit). What a server sees of all bots of a cluster is usually one address.
const DefaultConnections = 10

// ConnectionLimits are how many connections at once CyTube servers allow from one address. The zero value is
// DefaultConnections for every server.
type ConnectionLimits struct {
	// Default is for servers that are not in Servers. 0: DefaultConnections.
	Default int
	// Servers has the exceptions, by the server's URL as ServerKey returns it.
	Servers map[string]int
}

// of returns the limit of a server, by its key.
func (l ConnectionLimits) of(server string) int {
	if limit, known := l.Servers[server]; known {
		return limit
	}
	if l.Default == 0 {
		return DefaultConnections
	}
	return l.Default
}

// ServerKey returns the URL of a CyTube server in the form that is the same for all spellings of it.
func ServerKey(url string) string {
	key := strings.TrimSuffix(strings.ToLower(url), "/")
	switch {
	case strings.HasPrefix(key, "https://"):
		return strings.TrimSuffix(key, ":443")
	case strings.HasPrefix(key, "http://"):
		return strings.TrimSuffix(key, ":80")
	}
	return key
}

// connects reports whether a RoseyBot has a connection to its CyTube server, or tries to. It has one, whatever the
// number of its pods, because only the leader is in the channel.
func connects(bot *v1alpha1.RoseyBot) bool {
	return bot.DeletionTimestamp.IsZero() && !ptr.Deref(bot.Spec.Suspend, false) &&
		manifests.Replicas(bot, manifests.Bot) > 0
}

// serverUse is how many RoseyBots connect to a CyTube server, and how many it allows from one address.
type serverUse struct {
	server        string
	bots, allowed int
}

// crowded reports whether there are more than a server allows.
func (u serverUse) crowded() bool { return u.bots > u.allowed }

// String describes a crowded server. It does not say how many RoseyBots there are: most may be in namespaces that the
// reader may not see.
func (u serverUse) String() string {
	return fmt.Sprintf("more than %d RoseyBots use %s, which is taken to allow %d connections at once from one address",
		u.allowed, u.server, u.allowed)
}

// servers counts the RoseyBots of each CyTube server. To count them anew in each reconcile would make the work for
// many RoseyBots grow with the square of their number. It is safe for concurrent use.
type servers struct {
	mu     sync.Mutex
	used   map[types.NamespacedName]string // the key of the server of each RoseyBot that connects to one
	counts map[string]int                  // RoseyBots, by the key of their server
}

func newServers() *servers {
	return &servers{used: map[types.NamespacedName]string{}, counts: map[string]int{}}
}

// load counts the RoseyBots that exist when the operator starts. From then on each reconcile tells what has become of
// its RoseyBot.
func (s *servers) load(bots []v1alpha1.RoseyBot) {
	for i := range bots {
		s.count(&bots[i])
	}
}

// set sets the server of a RoseyBot, or that it connects to none. The caller holds the lock.
func (s *servers) set(bot types.NamespacedName, server string) {
	if before := s.used[bot]; before != "" {
		delete(s.used, bot)
		if s.counts[before]--; s.counts[before] == 0 {
			delete(s.counts, before)
		}
	}
	if server != "" {
		s.used[bot] = server
		s.counts[server]++
	}
}

// forget takes note that a RoseyBot connects to no server, because it does not exist or is being deleted.
func (s *servers) forget(bot types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(bot, "")
}

// count takes note of a RoseyBot as it is now, and returns how many connect to its server.
func (s *servers) count(bot *v1alpha1.RoseyBot) int {
	server, used := ServerKey(bot.Spec.Channel.Server), ""
	if connects(bot) {
		used = server
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := client.ObjectKeyFromObject(bot); s.used[key] != used {
		s.set(key, used)
	}
	return s.counts[server]
}

// serverUse returns how the server of a RoseyBot is used, as far as the operator watches namespaces.
func (r *Reconciler) serverUse(bot *v1alpha1.RoseyBot) serverUse {
	server := ServerKey(bot.Spec.Channel.Server)
	return serverUse{server: server, bots: r.servers.count(bot), allowed: r.Connections.of(server)}
}

// reasonCrowded is the reason of the event about a server that does not allow as many connections as it has RoseyBots.
const reasonCrowded = "TooManyBotsOnServer"

// warnCrowded emits one event on a RoseyBot that was created or changed while its server has more RoseyBots than it
// allows connections. It does not repeat it: the metric and, once a bot is refused, the conditions say the same.
func (r *Reconciler) warnCrowded(bot *v1alpha1.RoseyBot, use serverUse) {
	memory := r.memories.of(bot)
	switch {
	case !use.crowded():
		memory.crowdedServer = ""
		return
	case !connects(bot) || bot.Status.ObservedGeneration == bot.Generation || memory.crowdedServer == use.server:
		return
	}
	memory.crowdedServer = use.server
	r.emit(bot, corev1.EventTypeWarning, conditionFalse(reasonCrowded, fmt.Sprintf(
		"%s: bots with one address beyond that number cannot join; see docs/tasks/many-bots.md", use)))
}

// countServers returns how the servers of RoseyBots are used: those with the most, and the others together as "other".
// Users choose servers, so their number is bounded.
func countServers(bots []v1alpha1.RoseyBot, limits ConnectionLimits) []serverUse {
	counts := map[string]int{}
	for i := range bots {
		if connects(&bots[i]) {
			counts[ServerKey(bots[i].Spec.Channel.Server)]++
		}
	}
	servers := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	var uses []serverUse
	other := serverUse{server: "other"}
	for i, server := range servers {
		if i < maxServers {
			uses = append(uses, serverUse{server, counts[server], limits.of(server)})
			continue
		}
		other.bots += counts[server]
	}
	if other.bots > 0 {
		uses = append(uses, other)
	}
	return uses
}

// maxServers is the number of servers with metrics of their own.
const maxServers = 50
