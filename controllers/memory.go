package controllers

import (
	"maps"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// memory is what the operator remembers of a RoseyBot from one reconcile to the next. A restart of the operator loses
// it, which costs a few requests and events. It needs no lock: only the reconciles of the RoseyBot use it, and the work
// queue runs one of them at a time.
type memory struct {
	// replacedVersion is the resourceVersion that the last write of the status replaced. The cache may still have it.
	replacedVersion string
	// progressing is since when the status has differed from the written one, or zero; see settle.
	progressing time.Time
	// namespaceUID is the UID of its namespace, empty if it may not be read, and nil until it is needed.
	namespaceUID *types.UID
	// crowdedServer is the CyTube server about which there was an event.
	crowdedServer string
	// seen are its Deployments as their controller has seen them.
	seen []seenDeployment
	// sent is set if the last reconcile sent requests about objects, and was not the first of its generation.
	sent bool
	// asDesired is the fingerprint of what the last apply saw, or empty unless all objects were as desired.
	asDesired string
	// created has the objects that were created lately and that no reconcile has found in the cache yet. It is nil if
	// there are none.
	created map[manifests.Key]createdObject
	// forced has the objects whose last write may not last, because somebody else sets a field again.
	forced map[manifests.Key]forcedState
	// mountErrors are what events said about pods that do not start, by the UID of the pod.
	mountErrors map[types.UID]string
}

// fingerprint returns a hash of everything that apply depends on and that can change while the operator runs. Of pods,
// which change more often than all else, that is their number. The other fields of a RoseyBot's status say what apply
// has found.
func fingerprint(bot *v1alpha1.RoseyBot, found observed) string {
	versions := map[string]string{}
	for key, object := range found.Objects {
		versions[key.String()] = object.GetResourceVersion()
	}
	if found.Owner != nil {
		versions["owner"] = found.Owner.ResourceVersion
	}
	for i := range found.sharers {
		versions["sharer "+string(found.sharers[i].UID)] = strconv.FormatInt(found.sharers[i].Generation, 10)
	}
	return manifests.Hash([]any{
		bot.Generation, bot.Annotations, bot.Status.Pinned, bot.Status.Update, versions, found.ClaimPods, found.Pods,
		found.countPods(manifests.Database).ReadyReplicas > 0, found.Channels, found.NamespaceUID,
	})
}

// createdObject is when an object was created: by the operator's clock, and by that of the API server.
type createdObject struct {
	at        time.Time
	timestamp metav1.Time
}

// addCreated remembers an object that was created.
func (m *memory) addCreated(key manifests.Key, object createdObject) {
	if m.created == nil {
		m.created = map[manifests.Key]createdObject{}
	}
	m.created[key] = object
}

// forgetCreated forgets the objects that were found in the cache, and those that have been absent from it for so long
// that they are created again if they are still desired.
func (m *memory) forgetCreated(found observed, since time.Time) {
	maps.DeleteFunc(m.created, func(key manifests.Key, object createdObject) bool {
		return found.Objects[key] != nil || !object.at.After(since)
	})
	if len(m.created) == 0 {
		m.created = nil
	}
}

// memories has the memory of each RoseyBot that exists. It is safe for concurrent use.
type memories struct {
	mu         sync.Mutex
	ofBot      map[types.NamespacedName]botMemory
	namespaces map[string]namespaceMemory // by name

	loading sync.Mutex
	loaded  bool // whether Reconciler.load has succeeded
}

// namespaceMemory is the UID of a namespace, empty if it may not be read, and the RoseyBot for which it was read.
type namespaceMemory struct {
	uid    *types.UID
	bot    string
	botUID types.UID
}

// botMemory is the memory of the RoseyBot with a UID: another one of the same name has its own.
type botMemory struct {
	uid types.UID
	*memory
}

func newMemories() *memories {
	return &memories{ofBot: map[types.NamespacedName]botMemory{}, namespaces: map[string]namespaceMemory{}}
}

// of returns the memory of a RoseyBot.
func (m *memories) of(bot *v1alpha1.RoseyBot) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := client.ObjectKeyFromObject(bot)
	known := m.ofBot[key]
	if known.memory == nil || known.uid != bot.UID {
		known = botMemory{bot.UID, &memory{forced: map[manifests.Key]forcedState{}}}
		m.ofBot[key] = known
	}
	return known.memory
}

// forget forgets a RoseyBot that does not exist.
func (m *memories) forget(bot types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ofBot, bot)
	if m.namespaces[bot.Namespace].bot == bot.Name {
		delete(m.namespaces, bot.Namespace)
	}
}

// namespace returns what is known of a namespace: zero if it is nothing.
func (m *memories) namespace(name string) namespaceMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.namespaces[name]
}

// addNamespace remembers the UID of a namespace that was read for a RoseyBot.
func (m *memories) addNamespace(bot *v1alpha1.RoseyBot, uid *types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.namespaces[bot.Namespace] = namespaceMemory{uid, bot.Name, bot.UID}
}

// forget forgets everything about a RoseyBot that does not exist, but for how often things were done for it: a RoseyBot
// that is created again begins with no full allowance.
func (r *Reconciler) forget(bot types.NamespacedName) {
	r.memories.forget(bot)
	r.probes.endReconcile(bot)
	r.updates.forget(bot)
	r.servers.forget(bot)
}
