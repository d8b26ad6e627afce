package controllers

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

const (
	// forcedPause is how long nothing is written because somebody else sets a field again.
	forcedPause = 5 * time.Minute
	// maxRepairs is how often a field is repaired, with less than repairInterval in between, before that is given up: the
	// other writer does not.
	maxRepairs     = 5
	repairInterval = time.Minute
	// maxForcedFields bounds the fields that a message names.
	maxForcedFields = 3
)

// forcedField is a message about fields of an object of a component that stay as somebody else sets them.
type forcedField struct {
	component manifests.Component
	message   string
}

// forcedKey identifies an object of a RoseyBot.
type forcedKey struct {
	bot    types.NamespacedName
	object manifests.Key
}

// forcedState is what is known about writes of an object that did not last.
type forcedState struct {
	fields  string // that differed, and the hash of the object as desired
	repairs int    // writes in a row that took effect
	at      time.Time
	message string // "": they may last
}

// forcedObjects remembers writes that did not last. Without it, a policy that changes a field would make the operator
// write the object in each reconcile without end. It is safe for concurrent use.
type forcedObjects struct {
	mu     sync.Mutex
	states map[forcedKey]forcedState
}

func newForcedObjects() *forcedObjects { return &forcedObjects{states: map[forcedKey]forcedState{}} }

// forcedWrite is a write: the object as desired, as it was before and after, and the fields that differed before.
type forcedWrite struct {
	wanted        *unstructured.Unstructured
	before, after client.Object
	differs       *fieldpath.Set
}

func fieldsOf(wanted *unstructured.Unstructured, differs *fieldpath.Set) string {
	return wanted.GetAnnotations()[desiredHashAnnotation] + differs.String()
}

// holds returns the message about an object that is not written now, or "" if it is to be written.
func (f *forcedObjects) holds(
	key forcedKey, wanted *unstructured.Unstructured, differs *fieldpath.Set, now time.Time,
) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.states[key]
	if known.fields != fieldsOf(wanted, differs) || now.Sub(known.at) >= forcedPause {
		return ""
	}
	return known.message
}

// forget forgets an object that is as desired now, unless it was written a moment ago.
func (f *forcedObjects) forget(key forcedKey, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known, found := f.states[key]; found && now.Sub(known.at) >= repairInterval {
		delete(f.states, key)
	}
}

// forgetBot forgets the objects of a RoseyBot that does not exist.
func (f *forcedObjects) forgetBot(bot types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.states {
		if key.bot == bot {
			delete(f.states, key)
		}
	}
}

// note records a write. left are the fields that differ after it, and message says who sets them.
func (f *forcedObjects) note(
	key forcedKey, write forcedWrite, left *fieldpath.Set, message string, now time.Time,
) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := forcedState{fields: fieldsOf(write.wanted, write.differs), repairs: 1, at: now, message: message}
	if !left.Empty() {
		next.fields = fieldsOf(write.wanted, left)
		f.states[key] = next
		return message
	}
	if known := f.states[key]; known.fields == next.fields && now.Sub(known.at) < max(repairInterval, pauseOf(known)) {
		next.repairs = known.repairs + 1
	}
	if next.repairs < maxRepairs {
		next.message = ""
	}
	f.states[key] = next
	return next.message
}

// pauseOf returns how long nothing was written before the next repair.
func pauseOf(known forcedState) time.Duration {
	if known.message == "" {
		return 0
	}
	return forcedPause + repairInterval
}

// noteForced records a write, and returns a message if it did not last: an admission policy undid it at once, or
// another writer has undone several in a row.
func (r *Reconciler) noteForced(bot *v1alpha1.RoseyBot, key forcedKey, write forcedWrite) (message string, _ error) {
	left, err := r.differences(write.after, write.wanted)
	if err != nil {
		return "", err
	}
	fields, by := left, write.after
	if left.Empty() {
		if fields, err = r.differences(write.before, write.wanted); err != nil || fields.Empty() {
			return "", err // only the cache was out of date
		}
		by = write.before
	}
	message = fmt.Sprintf("%s: %s stays as %s sets it", key.object, nameFields(fields), whoSets(by, fields))
	before := r.forced.message(key)
	message = r.forced.note(key, write, left, message, r.now())
	if message != "" && message != before {
		r.emit(bot, corev1.EventTypeWarning, conditionFalse(v1alpha1.ReasonFieldForced, message))
	}
	return message, nil
}

// message returns what is known about an object, or "".
func (f *forcedObjects) message(key forcedKey) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.states[key].message
}

// nameFields returns the paths of fields, or of the first of them.
func nameFields(fields *fieldpath.Set) string {
	var names []string
	fields.Leaves().Iterate(func(path fieldpath.Path) { names = append(names, strings.TrimPrefix(path.String(), ".")) })
	slices.Sort(names)
	if more := len(names) - maxForcedFields; more > 0 {
		names = append(names[:maxForcedFields], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// whoSets returns the field managers of an object that own one of the fields, besides the operator. Admission owns
// none.
func whoSets(object client.Object, fields *fieldpath.Set) string {
	var managers []string
	for _, entry := range object.GetManagedFields() {
		owned := &fieldpath.Set{}
		if entry.Manager == string(fieldOwner) || entry.FieldsV1 == nil ||
			owned.FromJSON(strings.NewReader(entry.FieldsV1.GetRawString())) != nil {
			continue
		}
		if !owned.Intersection(fields).Empty() && !slices.Contains(managers, entry.Manager) {
			managers = append(managers, entry.Manager)
		}
	}
	if len(managers) == 0 {
		return "an admission policy or webhook"
	}
	return "the field manager " + strings.Join(managers, " and ")
}

// forcedMessage returns a message about an object of a component, or of both, that stays as somebody else sets it.
func (a *applied) forcedMessage(components ...manifests.Component) string {
	for _, forced := range a.forced {
		if forced.component == "" || len(components) == 0 || slices.Contains(components, forced.component) {
			return forced.message
		}
	}
	return ""
}
