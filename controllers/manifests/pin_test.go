package manifests_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

// observe returns the state of a cluster in which a set has been written.
func observe(set []manifests.Desired) manifests.Observed {
	observed := manifests.Observed{Objects: map[manifests.Key]client.Object{}}
	for _, desired := range set {
		observed.Objects[manifests.KeyOf(desired.Object)] = desired.Object
	}
	return observed
}

// pin returns the desired objects as they are written while the update waits.
func pin(bot *v1alpha1.RoseyBot, desired []manifests.Desired, observed manifests.Observed) []manifests.Desired {
	return manifests.FindUpdate(bot, desired, observed).Pinned
}

// A newer operator pins what an older one built from the same spec.
func TestFindUpdate(t *testing.T) {
	newer := manifests.Params{Image: "rosey.example/rosey:newer"}
	without := func(kind, name string) func(manifests.Observed) {
		return func(observed manifests.Observed) { delete(observed.Objects, manifests.Key{Kind: kind, Name: name}) }
	}
	recreated := func(bot *v1alpha1.RoseyBot) { bot.UID, bot.Status = "another", v1alpha1.RoseyBotStatus{} }
	deleted := func(observed manifests.Observed) { clear(observed.Objects) }
	tests := map[string]struct {
		change   func(*v1alpha1.RoseyBot)
		observe  func(manifests.Observed)
		recorded bool // the newer operator has seen the objects before
		pinned   bool
	}{
		"same spec": {pinned: true},
		"new spec": {recorded: true, change: func(bot *v1alpha1.RoseyBot) {
			bot.Generation, bot.Spec.LogLevel = 2, "debug"
		}},
		"new spec, same pods": {recorded: true, pinned: true, change: func(bot *v1alpha1.RoseyBot) {
			bot.Generation, bot.Spec.NetworkPolicy.Enabled = 2, new(false)
		}},
		"new RoseyBot":      {change: recreated},
		"ConfigMap missing": {observe: without("ConfigMap", "movienight-config"), pinned: true}, // both build the same
		"ConfigMap deleted": {observe: without("ConfigMap", "movienight-config"), recorded: true, pinned: true},
		"service deleted":   {observe: without("Deployment", "movienight-db"), recorded: true, pinned: true},
		"all are deleted":   {observe: deleted, recorded: true, pinned: true},
		"edited": {recorded: true, pinned: true, observe: func(observed manifests.Observed) {
			live := manifests.Find[*appsv1.Deployment](observed, "movienight-bot")
			live.Annotations, live.Spec.Template.Spec.Containers[0].Image = nil, "edited"
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bot := readBot(t, "testdata/minimal.yaml")
			bot.Name, bot.UID = "movienight", "one"
			old := manifests.FindUpdate(bot, build(t, bot), manifests.Observed{})
			if len(old.Changes) > 0 || len(old.Status) > 0 {
				t.Errorf("the first set has changes %v", old.Changes)
			}
			observed := observe(old.Built)
			if test.recorded {
				built, err := manifests.Build(bot, newer, observed)
				if err != nil {
					t.Fatal(err)
				}
				bot.Status.Pinned = manifests.FindUpdate(bot, built, observed).Status
			}
			was := botDeployment(old.Built).Spec.Template.DeepCopy()
			if test.change != nil {
				test.change(bot)
			}
			if test.observe != nil {
				test.observe(observed)
			}
			checkUpdate(t, bot, newer, observed, was, test.pinned)
		})
	}
}

func checkUpdate(
	t *testing.T, bot *v1alpha1.RoseyBot, newer manifests.Params, observed manifests.Observed,
	was *corev1.PodTemplateSpec, pinned bool,
) {
	t.Helper()
	built, err := manifests.Build(bot, newer, observed)
	if err != nil {
		t.Fatal(err)
	}
	before := render(t, built)
	got := manifests.FindUpdate(bot, built, observed)
	if diff := cmp.Diff(lines(before), lines(render(t, built))); diff != "" {
		t.Errorf("FindUpdate changed its argument:\n%s", diff)
	}
	if image := botDeployment(got.Built).Spec.Template.Spec.Containers[0].Image; image != newer.Image {
		t.Errorf("it builds %s", image)
	}
	template := &botDeployment(got.Pinned).Spec.Template
	if !pinned {
		if image := template.Spec.Containers[0].Image; image != newer.Image || len(got.Changes) > 0 || len(got.Status) > 0 {
			t.Errorf("it pins %s, changes %q", image, got.Changes)
		}
		return
	}
	if diff := cmp.Diff(was, template); diff != "" {
		t.Errorf("the template is not the former one:\n%s", diff)
	}
	want := []string{
		"Deployment movienight-db with image " + newer.Image, "Deployment movienight-bot with image " + newer.Image,
	}
	if !slices.Equal(got.Changes, want) {
		t.Errorf("changes are %q", got.Changes)
	}
}

// The version before wrote the generation and the owner's hash, without a hash of what is built: an upgrade from it
// replaces no pod, that of a RoseyBot that shares a database service either.
func TestAnUpgradeFromOriginsWithoutAHashReplacesNoPod(t *testing.T) {
	for name, owner := range map[string]string{"web": "", "web-shared": "testdata/web-shared.owner.yaml"} {
		t.Run(name, func(t *testing.T) {
			bot, observed := readBot(t, "testdata/"+name+".yaml"), manifests.Observed{}
			if owner != "" {
				observed.Owner = readBot(t, owner)
			}
			before := observe(pin(bot, buildObserving(t, bot, observed), observed))
			before.Owner = observed.Owner
			for _, object := range before.Objects {
				if deployment, is := object.(*appsv1.Deployment); is {
					origin := strings.Fields(deployment.Annotations["rosey.dev/spec-generation"])
					deployment.Annotations["rosey.dev/spec-generation"] = strings.Join(slices.Delete(origin, 1, 2), " ")
				}
			}
			for range 2 { // it stays so
				for _, component := range manifests.Components(bot) {
					after := find[*appsv1.Deployment](upgraded(t, bot, before), component)
					if got := after.Spec.Template.Spec.Containers[0].Image; got == newerParams.Image {
						t.Errorf("%s runs %s", after.Name, got)
					}
				}
			}
			bot.Generation++
			bot.Spec.LogLevel = "debug"
			for _, component := range manifests.Components(bot) {
				after := find[*appsv1.Deployment](upgraded(t, bot, before), component)
				if got := after.Spec.Template.Spec.Containers[0].Image; got != newerParams.Image {
					t.Errorf("%s runs %s after a change of its own", after.Name, got)
				}
			}
		})
	}
}

// The spec of a RoseyBot is one, and what a component is built from is a part of it: a change of another part must not
// restart the component because the operator was upgraded before.
func TestAChangeOfTheSpecUpdatesOnlyWhatIsBuiltFromIt(t *testing.T) {
	const bot, database, web = "bot", "db", "web"
	for name, test := range map[string]struct {
		edit func(*v1alpha1.RoseyBotSpec)
		want []string // whose pods are the newer operator's
	}{
		"the web page":    {func(spec *v1alpha1.RoseyBotSpec) { spec.Web.Public = new(false) }, []string{web}},
		"no web page":     {func(spec *v1alpha1.RoseyBotSpec) { spec.Web = nil }, nil},
		"the account":     {func(spec *v1alpha1.RoseyBotSpec) { spec.Account.Username = "Other" }, []string{bot}},
		"the number":      {func(spec *v1alpha1.RoseyBotSpec) { spec.Replicas = new(int32(2)) }, nil},
		"who gets what":   {func(spec *v1alpha1.RoseyBotSpec) { spec.NetworkPolicy.Enabled = new(false) }, nil},
		"the policy":      {func(spec *v1alpha1.RoseyBotSpec) { spec.UpdatePolicy = v1alpha1.UpdateManual }, nil},
		"the log":         {func(spec *v1alpha1.RoseyBotSpec) { spec.LogLevel = "debug" }, []string{database, bot, web}},
		"suspended":       {func(spec *v1alpha1.RoseyBotSpec) { spec.Suspend = new(true) }, []string{database, bot, web}},
		"a database user": {setDatabaseUser, []string{database}},
		"a plugin": {func(spec *v1alpha1.RoseyBotSpec) {
			spec.Plugins = []v1alpha1.Plugin{{Name: "dice", Builtin: "dice"}}
		}, nil},
	} {
		for _, before := range []string{"live", "deleted"} {
			t.Run(name+", "+before, func(t *testing.T) {
				roseyBot := readBot(t, "testdata/web.yaml")
				observed := observe(pin(roseyBot, build(t, roseyBot), manifests.Observed{}))
				observed = observe(upgraded(t, roseyBot, observed))
				if before == "deleted" {
					clear(observed.Objects)
				}
				test.edit(&roseyBot.Spec)
				roseyBot.Generation++
				for range 2 { // it stays so
					var got []string
					pinned := upgraded(t, roseyBot, observed)
					for _, component := range manifests.Components(roseyBot) {
						if find[*appsv1.Deployment](pinned, component).Spec.Template.Spec.Containers[0].Image == newerParams.Image {
							got = append(got, strings.TrimPrefix(manifests.Name(roseyBot, component), roseyBot.Name+"-"))
						}
					}
					// What is deleted and to be built anew runs what the bot runs.
					isWanted := func(name string) bool { return slices.Contains(test.want, name) }
					got = slices.DeleteFunc(got, func(name string) bool { return before == "deleted" && isWanted(name) })
					if want := test.want; !slices.Equal(got, want) && (before == "live" || len(got) > 0) {
						t.Errorf("updated are %q, want %q", got, want)
					}
					checkMountedFiles(t, pinned)
					observed = observe(pinned)
				}
			})
		}
	}
}

// newerParams are those of a newer operator.
var newerParams = manifests.Params{Image: "rosey.example/rosey:newer"}

// upgraded returns what a newer operator writes.
func upgraded(t *testing.T, bot *v1alpha1.RoseyBot, observed manifests.Observed) []manifests.Desired {
	t.Helper()
	return findUpgrade(t, bot, observed).Pinned
}

// findUpgrade returns what a newer operator finds, which builds another configuration of the bot too, and records in
// the status what it pins.
func findUpgrade(t *testing.T, bot *v1alpha1.RoseyBot, observed manifests.Observed) manifests.Update {
	t.Helper()
	newer := bot.DeepCopy()
	newer.Spec.Channel.MaxMessageLength = 100
	built, err := manifests.Build(newer, newerParams, observed)
	if err != nil {
		t.Fatal(err)
	}
	update := manifests.FindUpdate(bot, built, observed)
	bot.Status.Pinned = update.Status
	return update
}

func setDatabaseUser(spec *v1alpha1.RoseyBotSpec) {
	spec.Database = &v1alpha1.Database{
		SQLite: &v1alpha1.SQLite{}, NATSCredentialsSecretRef: &v1alpha1.ObjectRef{Name: "db-nats"},
	}
}

// checkMountedFiles fails unless each pod template mounts the configuration that it was built with.
func checkMountedFiles(t *testing.T, set []manifests.Desired) {
	t.Helper()
	files := configMapOf(set).Data
	for _, next := range set {
		workload, isDeployment := next.Object.(*appsv1.Deployment)
		if !isDeployment {
			continue
		}
		template := workload.Spec.Template
		at := slices.IndexFunc(template.Spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == "config" })
		file := template.Spec.Volumes[at].ConfigMap.Items[0].Key
		if want := template.Annotations["rosey.dev/config-hash"]; manifests.Hash(files[file]) != want {
			t.Errorf("%s has another %s than the one it was built with", workload.Name, file)
		}
	}
}

// An old image may not understand a new configuration: without the old one, the template is the new one too.
func TestATemplateIsNotPinnedWithoutItsConfiguration(t *testing.T) {
	bot := readBot(t, "testdata/web.yaml")
	observed := observe(pin(bot, build(t, bot), manifests.Observed{}))
	delete(observed.Objects, manifests.Key{Kind: "ConfigMap", Name: "movienight-config"})
	pinned := upgraded(t, bot, observed)
	checkMountedFiles(t, pinned)
	if image := botDeployment(pinned).Spec.Template.Spec.Containers[0].Image; image != newerParams.Image {
		t.Errorf("the bot runs %s", image)
	}
	if image := databaseDeployment(pinned).Spec.Template.Spec.Containers[0].Image; image != testParams.Image {
		t.Errorf("the database service, whose configuration is the same, runs %s", image)
	}
}

// A pinned bot whose standby is taken away gets the strategy of a single one, as it would without the update.
func TestStrategyOfAPinnedBot(t *testing.T) {
	bot := readBot(t, "testdata/web.yaml")
	bot.Spec.Replicas = new(int32(2))
	set := pin(bot, build(t, bot), manifests.Observed{})
	bot.Spec.Replicas = new(int32(1))
	bot.Generation++
	for _, want := range []appsv1.DeploymentStrategyType{
		appsv1.RollingUpdateDeploymentStrategyType, appsv1.RecreateDeploymentStrategyType,
	} {
		observed := observe(set)
		live := botDeployment(set)
		live.Status = appsv1.DeploymentStatus{Replicas: *live.Spec.Replicas, UpdatedReplicas: *live.Spec.Replicas}
		observed.Pods = map[manifests.Component]manifests.PodCount{
			manifests.Bot: {All: int(*live.Spec.Replicas), Templates: 1},
		}
		set = upgraded(t, bot, observed)
		if got := botDeployment(set).Spec; got.Strategy.Type != want || *got.Replicas != 1 {
			t.Errorf("strategy %s with %d replicas, want %s with 1", got.Strategy.Type, *got.Replicas, want)
		}
	}
}

// A status has a maximum size: templates that are too large are not in it.
func TestLargeTemplatesAreNotRecorded(t *testing.T) {
	bot := readBot(t, "testdata/minimal.yaml")
	bot.Spec.ExtraEnv = []corev1.EnvVar{{Name: "LARGE", Value: strings.Repeat("x", 64<<10)}}
	observed := observe(pin(bot, build(t, bot), manifests.Observed{}))
	built, err := manifests.Build(bot, manifests.Params{Image: "rosey.example/rosey:newer"}, observed)
	if err != nil {
		t.Fatal(err)
	}
	got := manifests.FindUpdate(bot, built, observed)
	if len(got.Changes) == 0 || len(got.Status) > 0 {
		t.Errorf("changes are %q, the status has %d objects", got.Changes, len(got.Status))
	}
}

// pluggedBot returns a RoseyBot with a web page, and as many plugins with an image as there can be, with long texts.
func pluggedBot(t *testing.T) *v1alpha1.RoseyBot {
	t.Helper()
	bot := readBot(t, "testdata/plugins.yaml")
	bot.Spec.Web = &v1alpha1.Web{Enabled: new(true), Public: new(true)}
	first := bot.Spec.Plugins[1]
	bot.Spec.Plugins = nil
	for i := range config.MaxPlugins {
		plugin := *first.DeepCopy()
		plugin.Name = v1alpha1.PluginName(fmt.Sprintf("plugin%024d", i))
		plugin.Image = fmt.Sprintf("registry.example/a/team/of/several/people/%s@sha256:%064d", plugin.Name, i)
		plugin.EnvFrom = append(plugin.EnvFrom, slices.Repeat(first.EnvFrom, 3)...)
		bot.Spec.Plugins = append(bot.Spec.Plugins, plugin)
	}
	return bot
}

// setDefaults sets what the API server sets in a pod template.
func setDefaults(template *corev1.PodTemplateSpec) {
	pod, container := &template.Spec, &template.Spec.Containers[0]
	pod.RestartPolicy, pod.DNSPolicy = corev1.RestartPolicyAlways, corev1.DNSClusterFirst
	pod.SchedulerName, pod.DeprecatedServiceAccount = corev1.DefaultSchedulerName, pod.ServiceAccountName
	container.TerminationMessagePath = corev1.TerminationMessagePathDefault
	container.ImagePullPolicy = corev1.PullIfNotPresent
	for i := range pod.Volumes {
		switch volume := &pod.Volumes[i]; {
		case volume.ConfigMap != nil:
			volume.ConfigMap.DefaultMode = new(corev1.ConfigMapVolumeSourceDefaultMode)
		case volume.Secret != nil:
			volume.Secret.DefaultMode = new(corev1.SecretVolumeSourceDefaultMode)
		case volume.Projected != nil:
			volume.Projected.DefaultMode = new(corev1.ProjectedVolumeSourceDefaultMode)
		}
	}
}

// As many plugins as there can be have a pod template each: what is deleted of any of them is restored as it was.
func TestTemplatesOfAllPluginsAreRecorded(t *testing.T) {
	bot := pluggedBot(t)
	observed := observe(pin(bot, build(t, bot), manifests.Observed{}))
	for _, object := range observed.Objects {
		if workload, isDeployment := object.(*appsv1.Deployment); isDeployment {
			setDefaults(&workload.Spec.Template)
		}
	}
	upgrade := func() (pinned []manifests.Desired) {
		built, err := manifests.Build(bot, newerParams, observed)
		if err != nil {
			t.Fatal(err)
		}
		for _, next := range built {
			if workload, isDeployment := next.Object.(*appsv1.Deployment); isDeployment {
				workload.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(99))
			}
		}
		update := manifests.FindUpdate(bot, built, observed)
		bot.Status.Pinned = update.Status
		return update.Pinned
	}
	upgrade()
	clear(observed.Objects)
	size, count := 0, 0
	for _, one := range bot.Status.Pinned {
		size += len(one.Content)
	}
	for _, next := range upgrade() {
		if workload, isDeployment := next.Object.(*appsv1.Deployment); isDeployment {
			if count++; *workload.Spec.Template.Spec.TerminationGracePeriodSeconds == 99 {
				t.Errorf("%s is built anew; the status has %d bytes", workload.Name, size)
			}
		}
	}
	if count != config.MaxPlugins+3 {
		t.Errorf("%d Deployments", count)
	}
	const most = 32 << 10 // the maxLength of the schema: the API server would refuse the status
	bot.Status.Pinned = nil
	bot.Spec.Plugins[3].EnvFrom = slices.Repeat(bot.Spec.Plugins[3].EnvFrom[:1], 1000)
	observed = observe(pin(bot, build(t, bot), manifests.Observed{}))
	upgrade()
	for _, one := range bot.Status.Pinned {
		if len(one.Content) > most {
			t.Errorf("the status has %d bytes of %s", len(one.Content), one.Name)
		}
	}
	if got := len(bot.Status.Pinned); got != count-1 {
		t.Errorf("the status has %d objects, want all but the large one", got)
	}
}

// A live template that was edited is repaired.
func TestEditedTemplatesAreRepaired(t *testing.T) {
	bot := readBot(t, "testdata/minimal.yaml")
	old := pin(bot, build(t, bot), manifests.Observed{})
	observed := observe(old)
	botDeployment(old).Spec.Template.Spec.Containers[0].Image = "edited"
	got := manifests.FindUpdate(bot, build(t, bot), observed)
	if image := botDeployment(got.Pinned).Spec.Template.Spec.Containers[0].Image; image != testParams.Image ||
		len(got.Changes) > 0 {
		t.Errorf("image is %s, changes are %v", image, got.Changes)
	}
}

// A component has no replicas while a pod of the other one mounts the claim. With an autoscaler, the replicas are not
// set.
func TestReplicasDependOnObservedState(t *testing.T) {
	bot := readBot(t, "testdata/direct.yaml")
	observed := manifests.Observed{ClaimPods: map[manifests.Component]string{manifests.Database: "db-1"}}
	if got := botDeployment(buildObserving(t, bot, observed)).Spec.Replicas; ptr.Deref(got, -1) != 0 {
		t.Errorf("replicas while a database pod mounts the claim are %v, want 0", got)
	}
	observed.ClaimPods = map[manifests.Component]string{manifests.Bot: "bot-1"}
	if got := botDeployment(buildObserving(t, bot, observed)).Spec.Replicas; ptr.Deref(got, -1) != 0 {
		t.Errorf("replicas while a pod of a former Deployment mounts the claim are %v, want 0", got)
	}
	running := observe(build(t, bot))
	running.ClaimPods = observed.ClaimPods
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
