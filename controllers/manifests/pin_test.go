package manifests_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// observe returns the state of a cluster in which a set has been written.
func observe(set []manifests.Desired) manifests.Observed {
	observed := manifests.Observed{Objects: map[manifests.Key]client.Object{}}
	for _, desired := range set {
		observed.Objects[manifests.KeyOf(desired.Object)] = desired.Object
	}
	return observed
}

// A newer operator pins what an older one built from the same spec, all of it or nothing.
func TestPin(t *testing.T) {
	newer := manifests.Params{Image: "rosey.example/rosey:newer"}
	tests := map[string]struct {
		change  func(*v1alpha1.RoseyBot)
		observe func(manifests.Observed)
		pinned  bool
	}{
		"same spec":    {pinned: true},
		"new spec":     {change: func(bot *v1alpha1.RoseyBot) { bot.Generation++ }},
		"automatic":    {change: func(bot *v1alpha1.RoseyBot) { bot.Spec.UpdatePolicy = v1alpha1.UpdateAutomatic }},
		"new RoseyBot": {change: func(bot *v1alpha1.RoseyBot) { bot.UID = "another" }},
		"ConfigMap deleted": {observe: func(observed manifests.Observed) {
			delete(observed.Objects, manifests.Key{Kind: "ConfigMap", Name: "movienight-config"})
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bot := readBot(t, "testdata/minimal.yaml")
			bot.Name, bot.UID = "movienight", "one"
			old, updates := manifests.Pin(bot, build(t, bot), manifests.Observed{})
			if len(updates) > 0 {
				t.Errorf("the first set has updates %v", updates)
			}
			observed := observe(old)
			if test.change != nil {
				test.change(bot)
			}
			if test.observe != nil {
				test.observe(observed)
			}
			built, err := manifests.Build(bot, newer, observed)
			if err != nil {
				t.Fatal(err)
			}
			before := render(t, built)
			got, updates := manifests.Pin(bot, built, observed)
			if diff := cmp.Diff(lines(before), lines(render(t, built))); diff != "" {
				t.Errorf("Pin changed its argument:\n%s", diff)
			}
			if pinned := botDeployment(got).Spec.Template.Spec.Containers[0].Image != newer.Image; pinned != test.pinned {
				t.Errorf("pinned: %t, want %t", pinned, test.pinned)
			}
			want := []string{
				"Deployment movienight-db with image " + newer.Image, "Deployment movienight-bot with image " + newer.Image,
			}
			if test.pinned != slices.Equal(updates, want) || !test.pinned && len(updates) > 0 {
				t.Errorf("updates are %q", updates)
			}
		})
	}
}

// A live template that was edited is repaired.
func TestPinRepairsEditedTemplates(t *testing.T) {
	bot := readBot(t, "testdata/minimal.yaml")
	old, _ := manifests.Pin(bot, build(t, bot), manifests.Observed{})
	observed := observe(old)
	botDeployment(old).Spec.Template.Spec.Containers[0].Image = "edited"
	got, updates := manifests.Pin(bot, build(t, bot), observed)
	if image := botDeployment(got).Spec.Template.Spec.Containers[0].Image; image != testParams.Image || len(updates) > 0 {
		t.Errorf("image is %s, updates are %v", image, updates)
	}
}

// A component has no replicas while a pod of the other one mounts the claim. With an autoscaler, the replicas are not
// set.
func TestReplicasDependOnObservedState(t *testing.T) {
	bot := readBot(t, "testdata/direct.yaml")
	observed := manifests.Observed{ClaimHolders: map[manifests.Component]string{manifests.Database: "db-1"}}
	if got := botDeployment(buildObserving(t, bot, observed)).Spec.Replicas; ptr.Deref(got, -1) != 0 {
		t.Errorf("replicas while a database pod mounts the claim are %v, want 0", got)
	}
	observed.ClaimHolders = map[manifests.Component]string{manifests.Bot: "bot-1"}
	if got := botDeployment(buildObserving(t, bot, observed)).Spec.Replicas; ptr.Deref(got, -1) != 0 {
		t.Errorf("replicas while a pod of a former Deployment mounts the claim are %v, want 0", got)
	}
	running := observe(build(t, bot))
	running.ClaimHolders = observed.ClaimHolders
	observed = running
	if got := botDeployment(buildObserving(t, bot, observed)).Spec.Replicas; ptr.Deref(got, -1) != 1 {
		t.Errorf("replicas while its own pod mounts the claim are %v, want 1", got)
	}

	bot = readBot(t, "testdata/autoscaling.yaml")
	set := build(t, bot)
	if got := databaseDeployment(set).Spec.Replicas; got == nil {
		t.Error("a new Deployment has no replicas")
	}
	observed = observe(set)
	if got := databaseDeployment(buildObserving(t, bot, observed)).Spec.Replicas; got != nil {
		t.Errorf("replicas of an autoscaled Deployment are %d, want none", *got)
	}
	databaseDeployment(set).Spec.Replicas = new(int32(0))
	if got := databaseDeployment(buildObserving(t, bot, observed)).Spec.Replicas; got == nil {
		t.Error("a Deployment with 0 replicas is left to the autoscaler, which ignores it")
	}
}
