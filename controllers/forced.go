package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

const (
	// forcedPause is how long nothing is written because somebody else sets a field again.
	forcedPause = 5 * time.Minute
	// maxRepairs is how often a field is repaired, with less than repairInterval in between, before the operator stops
	// writing it: the other writer does not stop.
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

// forcedState is what is known about writes of an object that did not last. Without it, a policy that changes a field
// would make the operator write the object in each reconcile without end.
type forcedState struct {
	fields  string // that differed, and the hash of the object as desired
	repairs int    // writes in a row that took effect
	at      time.Time
	message string // "": they may last
}

// forcedWrite is a write: the object as desired, as it was before and after, and the fields that differed before.
type forcedWrite struct {
	wanted        *unstructured.Unstructured
	before, after client.Object
	differs       *fieldpath.Set
}

func fieldsOf(wanted *unstructured.Unstructured, differs *fieldpath.Set) string {
	return wanted.GetAnnotations()[desiredHashAnnotation] + differs.String()
}

// messageIfPaused returns the message about an object that is not written now, or "" if it is to be written.
func (s forcedState) messageIfPaused(wanted *unstructured.Unstructured, differs *fieldpath.Set, now time.Time) string {
	if s.fields != fieldsOf(wanted, differs) || now.Sub(s.at) >= forcedPause {
		return ""
	}
	return s.message
}

// after returns the state after a write. left are the fields that differ after it, and message says who sets them.
func (s forcedState) after(write forcedWrite, left *fieldpath.Set, message string, now time.Time) forcedState {
	if !left.Empty() {
		return forcedState{fields: fieldsOf(write.wanted, left), repairs: 1, at: now, message: message}
	}
	next := forcedState{fields: fieldsOf(write.wanted, write.differs), repairs: 1, at: now}
	repeats := repairInterval // the longest time between two repairs in a row
	if s.message != "" {
		repeats += forcedPause
	}
	if s.fields == next.fields && now.Sub(s.at) < repeats {
		next.repairs += s.repairs
	}
	if next.repairs >= maxRepairs {
		next.message = message
	}
	return next
}

// recordWrite records a write, and returns a message if it did not last: an admission policy undid it at once, or
// another writer has undone several in a row.
func (r *Reconciler) recordWrite(bot *v1alpha1.RoseyBot, write forcedWrite) (message string, _ error) {
	left, err := r.differences(write.after, write.wanted)
	if err != nil {
		return "", err
	}
	fields, by, unowned := left, write.after, "an admission policy or webhook"
	if left.Empty() {
		if fields, err = r.differences(write.before, write.wanted); err != nil || fields.Empty() {
			return "", err // only the cache was out of date
		}
		by, unowned = write.before, "another client"
		if ownsSome(by, fields) {
			unowned = "another operator"
		}
	}
	key, forced := manifests.KeyOf(write.wanted), r.memories.of(bot).forced
	message = fmt.Sprintf("%s: %s stays as %s sets it", key, nameFields(fields), whoSets(by, fields, unowned))
	before := forced[key].message
	forced[key] = forced[key].after(write, left, message, r.now())
	if message = forced[key].message; message != "" && message != before {
		r.emit(bot, corev1.EventTypeWarning, conditionFalse(v1alpha1.ReasonFieldForced, message))
	}
	return message, nil
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

// whoSets returns the field managers of an object that own one of the fields, besides the operator, or else unowned:
// admission owns none.
func whoSets(object client.Object, fields *fieldpath.Set, unowned string) string {
	var managers []string
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != string(fieldOwner) && !slices.Contains(managers, entry.Manager) && owns(entry, fields) {
			managers = append(managers, entry.Manager)
		}
	}
	if len(managers) == 0 {
		return unowned
	}
	return "the field manager " + strings.Join(managers, " and ")
}

// ownsSome reports whether the operator's field manager owns one of the fields.
func ownsSome(object client.Object, fields *fieldpath.Set) bool {
	return slices.ContainsFunc(object.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == string(fieldOwner) && owns(entry, fields)
	})
}

func owns(entry metav1.ManagedFieldsEntry, fields *fieldpath.Set) bool {
	owned := &fieldpath.Set{}
	return entry.FieldsV1 != nil && owned.FromJSON(strings.NewReader(entry.FieldsV1.GetRawString())) == nil &&
		!owned.Intersection(fields).Empty()
}

// forcedMessage returns a message about an object of a component, or of all, that stays as somebody else sets it.
func (a *applied) forcedMessage(components ...manifests.Component) string {
	for _, forced := range a.forced {
		if forced.component == "" || len(components) == 0 || slices.Contains(components, forced.component) {
			return forced.message
		}
	}
	return ""
}
