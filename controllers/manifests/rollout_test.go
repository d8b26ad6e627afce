package manifests_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// A Deployment leaves RollingUpdate by a write that changes neither the number of replicas nor the template: the
// Deployment controller waits for ever once it has to scale two ReplicaSets under Recreate.
func TestStrategyChangesOnlyWhenTheDeploymentControllerGetsOutOfIt(t *testing.T) {
	const rolling, recreate = appsv1.RollingUpdateDeploymentStrategyType, appsv1.RecreateDeploymentStrategyType
	type live struct {
		strategy appsv1.DeploymentStrategyType
		replicas int32
		old      int32 // pods of an older template
		pods     int   // that have not ended, and
		made     int   // the templates of those that are not being deleted
		unseen   bool  // by the Deployment controller
		other    bool  // template
	}
	type next struct {
		strategy appsv1.DeploymentStrategyType
		replicas int32
	}
	tests := map[string]struct {
		live     live
		direct   bool // not elected, so that there must never be two
		replicas int32
		want     next
	}{
		"two bots become one":    {live{rolling, 2, 0, 2, 1, false, false}, false, 1, next{rolling, 1}},
		"only one is left":       {live{rolling, 1, 0, 1, 1, false, false}, false, 1, next{recreate, 1}},
		"an old one is left":     {live{rolling, 1, 1, 2, 2, false, false}, false, 1, next{rolling, 1}},
		"not yet seen":           {live{rolling, 1, 0, 1, 1, true, false}, false, 1, next{rolling, 1}},
		"a new template as well": {live{rolling, 1, 0, 1, 1, false, true}, false, 1, next{rolling, 1}},
		"stuck under Recreate":   {live{recreate, 1, 1, 2, 2, false, false}, false, 1, next{rolling, 1}},
		"one becomes two":        {live{recreate, 1, 0, 1, 1, false, false}, false, 2, next{rolling, 2}},
		"scaled to zero":         {live{rolling, 2, 0, 2, 1, false, false}, false, 0, next{rolling, 0}},
		"none must run together": {live{rolling, 2, 0, 2, 1, false, true}, true, 1, next{rolling, 0}},
		"one is being stopped":   {live{rolling, 0, 0, 1, 0, false, true}, true, 1, next{rolling, 0}},
		"all are gone":           {live{rolling, 0, 0, 0, 0, false, true}, true, 1, next{recreate, 1}},
		"stuck, and not elected": {live{recreate, 1, 1, 2, 2, false, false}, true, 1, next{rolling, 0}},
		"the usual new template": {live{recreate, 1, 0, 1, 1, false, true}, true, 1, next{recreate, 1}},
		"somebody's edit":        {live{rolling, 1, 0, 1, 1, false, false}, true, 1, next{recreate, 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bot := readBot(t, "testdata/minimal.yaml")
			bot.Spec.Account = &v1alpha1.Account{Username: "Rosey"}
			bot.Spec.Replicas = new(test.replicas)
			if test.direct {
				bot.Spec.Mode, bot.Spec.NATS = v1alpha1.ModeDirect, nil
			}
			pinned := pin(bot, build(t, bot), manifests.Observed{})
			observed := observe(pinned)
			deployment := botDeployment(pinned)
			deployment.Spec.Strategy.Type, deployment.Spec.Replicas = test.live.strategy, new(test.live.replicas)
			deployment.Status = appsv1.DeploymentStatus{
				Replicas: test.live.replicas + test.live.old, UpdatedReplicas: test.live.replicas,
			}
			if test.live.unseen {
				deployment.Generation = 1
			}
			if test.live.other {
				bot.Spec.Image = "rosey.example/rosey:other"
			}
			count := manifests.PodCount{All: test.live.pods, Templates: test.live.made}
			observed.Pods = map[manifests.Component]manifests.PodCount{manifests.Bot: count}
			built := botDeployment(buildObserving(t, bot, observed)).Spec
			if got := (next{built.Strategy.Type, *built.Replicas}); got != test.want {
				t.Errorf("it becomes %+v, want %+v", got, test.want)
			}
		})
	}
}

// Without the database service no bot is ready, and then the Deployment controller would remove good pods for a third
// template.
func TestBotsAreNotReplacedTwiceWithoutTheService(t *testing.T) {
	bot := readBot(t, "testdata/minimal.yaml")
	bot.Name, bot.Spec.Replicas, bot.Spec.Account = "movienight", new(int32(2)), &v1alpha1.Account{Username: "Rosey"}
	pinned := pin(bot, build(t, bot), manifests.Observed{})
	live := botDeployment(pinned).DeepCopy()
	observed := observe(pinned)
	bot.Spec.Image = "rosey.example/rosey:other"
	bot.Generation++
	for _, test := range []struct {
		templates    int
		serviceReady bool
		held         bool
	}{{2, false, true}, {2, true, false}, {1, false, false}} {
		observed.Pods = map[manifests.Component]manifests.PodCount{manifests.Bot: {All: 3, Templates: test.templates}}
		desired := pin(bot, buildObserving(t, bot, observed), observed)
		got, held := manifests.KeepBotTemplate(bot, desired, observed, test.serviceReady)
		image := botDeployment(got).Spec.Template.Spec.Containers[0].Image
		if isOld := image == live.Spec.Template.Spec.Containers[0].Image; held != test.held || isOld != test.held {
			t.Errorf("%+v: held %t, image %s", test, held, image)
		}
	}
}
