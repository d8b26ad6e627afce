package controllers

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// forgottenNamespace is not watched by the operator of the other tests.
const forgottenNamespace = "forgotten"

// The operator's memory must not grow with each RoseyBot that there ever was: neither with one that works, nor with one
// that is being updated or waits for that.
func TestNothingIsRememberedOfRoseyBotsThatAreGone(t *testing.T) {
	bots := createAutomatic(t, forgottenNamespace, "one", "two")
	var operator *Reconciler
	stop := runOperator(t, forgottenNamespace, func(r *Reconciler) {
		operator = r
		oneAtATime(time.Hour)(r)
		r.Connections.Default = 1
	})
	remembered := func() map[string]int {
		for _, lock := range []interface {
			Lock()
			Unlock()
		}{&operator.memories.mu, &operator.probes.mu, &operator.updates.mu} {
			lock.Lock()
			defer lock.Unlock()
		}
		return map[string]int{
			"memories": len(operator.memories.ofBot), "results": len(operator.probes.results),
			"updates": len(operator.updates.running), "waiting updates": len(operator.updates.waiting),
		}
	}
	awaitTurn(t, bots, 1, nil)
	eventually(t, "something is remembered of them", func(context.Context) error {
		for what, count := range remembered() {
			if count == 0 {
				return fmt.Errorf("there are no %s", what)
			}
		}
		return nil
	})
	for _, bot := range bots {
		if err := rig.admin.Delete(t.Context(), bot); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "nothing is remembered of them", func(context.Context) error {
		for what, count := range remembered() {
			if count > 0 {
				return fmt.Errorf("there are %d %s", count, what)
			}
		}
		return nil
	})
	stop()
	for path, count := range entries("Reconciler", reflect.ValueOf(operator).Elem()) {
		t.Errorf("%s has %d entries after all RoseyBots were deleted", path, count)
	}
}

// entries returns the number of entries of each map and slice of a struct of this package that has some, and of those
// to which its fields point. What is limited is left out: full buckets are removed, whoever they are of.
func entries(path string, value reflect.Value) map[string]int {
	found := map[string]int{}
	for i := range value.NumField() {
		field, name := value.Field(i), path+"."+value.Type().Field(i).Name
		if field.Kind() == reflect.Pointer && !field.IsNil() {
			field = field.Elem()
		}
		ours := field.Type().PkgPath() == reflect.TypeFor[Reconciler]().PkgPath()
		switch {
		case field.Type() == reflect.TypeFor[limiter]() || field.Type() == reflect.TypeFor[ConnectionLimits]():
		case field.Kind() == reflect.Struct && ours:
			maps.Copy(found, entries(name, field))
		case field.Kind() == reflect.Slice && field.Len() > 0:
			found[name] = field.Len()
		case field.Kind() == reflect.Map:
			for _, key := range field.MapKeys() {
				if !field.MapIndex(key).IsZero() { // the prober counts all requests
					found[name]++
				}
			}
		}
	}
	return found
}

// A RoseyBot that is created again under the same name must not be taken for the former one.
func TestNothingIsRememberedOfARoseyBotOfTheSameName(t *testing.T) {
	memories := newMemories()
	former, next := newBot("somewhere"), newBot("somewhere")
	former.UID, next.UID = "former", "next"
	memories.of(former).crowdedServer = crowdedServer
	if memories.of(former).crowdedServer == "" {
		t.Error("nothing is remembered of the one that exists")
	}
	if memories.of(next).crowdedServer != "" || len(memories.ofBot) != 1 {
		t.Errorf("%d are remembered, the next one has what was known of the former", len(memories.ofBot))
	}
}

// The status of a Deployment counts for a later generation, whoever made it, only if nothing about its pods has changed
// since its controller saw it. An annotation that somebody added made its RoseyBot not ready.
func TestGenerationsWithTheSamePodsKeepTheStatus(t *testing.T) {
	deployment := func(uid types.UID, generation, observed int64, replicas int32) *appsv1.Deployment {
		found := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "movienight-bot", UID: uid, Generation: generation},
			Status:     appsv1.DeploymentStatus{ObservedGeneration: observed},
		}
		found.Spec.Replicas = &replicas
		return found
	}
	for name, test := range map[string]struct {
		live       *appsv1.Deployment
		generation int64 // that its status is taken to be about
	}{
		"nothing has changed":                    {deployment("one", 4, 4, 1), 4},
		"an annotation was added":                {deployment("one", 5, 4, 1), 5},
		"two were":                               {deployment("one", 6, 4, 1), 6},
		"it was scaled":                          {deployment("one", 5, 4, 2), 4},
		"the controller saw another in between":  {deployment("one", 6, 5, 1), 5},
		"another Deployment has taken its place": {deployment("two", 5, 4, 1), 4},
	} {
		t.Run(name, func(t *testing.T) {
			known := newMemories().of(&v1alpha1.RoseyBot{})
			var live *appsv1.Deployment
			for _, now := range []*appsv1.Deployment{deployment("one", 4, 4, 1), test.live} {
				found, key := newObserved(), manifests.Key{Kind: "Deployment", Name: now.Name}
				found.Objects[key] = now
				known.adoptGenerations(found)
				live, _ = found.Objects[key].(*appsv1.Deployment)
			}
			if got := live.Status.ObservedGeneration; got != test.generation {
				t.Errorf("the status is taken to be about generation %d, want %d", got, test.generation)
			}
			if len(known.seen) > 1 {
				t.Errorf("%d states of one Deployment are remembered", len(known.seen))
			}
		})
	}
}
