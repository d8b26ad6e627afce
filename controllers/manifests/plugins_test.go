package manifests_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	weather = manifests.Component("plugin-weather")
	greet   = manifests.Component("plugin-greet")
)

// What a user writes about commands and plugins reaches the processes as it is.
func TestPluginsReachTheProcesses(t *testing.T) {
	files, err := manifests.LiveFiles(readBot(t, "testdata/plugins.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	commands, err := config.ParseCommands([]byte(files[config.CommandsFile]))
	if err != nil {
		t.Fatalf("%v\n%s", err, files[config.CommandsFile])
	}
	roll := commands.Overrides["dice.roll"]
	if commands.Prefix != "." || *commands.CooldownSeconds != 5 || *commands.ChannelCooldownSeconds != 0 ||
		!slices.Equal(commands.Ignore, []string{"OtherBot"}) || !commands.Overrides["seen"].Disabled || roll.Name != "r" ||
		*roll.Rank != 2 || *roll.Cooldown.UserSeconds != 1 || roll.Allow[0] != "alice" || roll.Deny[0] != "bob" {
		t.Errorf("commands are %+v from\n%s", commands, files[config.CommandsFile])
	}
	plugins, err := config.ParsePlugins([]byte(files[config.PluginsFile]))
	if err != nil {
		t.Fatalf("%v\n%s", err, files[config.PluginsFile])
	}
	want := []config.Plugin{
		{Name: "dice", Builtin: "dice", Config: map[string]string{"maxDice": "20"}},
		{Name: "weather", Grants: &config.PluginGrants{
			Events: []string{"message"}, Say: true, State: []string{"users"},
			Act: []config.ActGrant{{Verb: "playlist.add", Rank: new(2.0)}},
		}},
		{Name: "greet"},
		{Name: "quotes", Builtin: "quotes"},
	}
	if diff := cmp.Diff(want, plugins); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
}

// A bot without plugins reads the same files as one with plugins: its pod stays when the first plugin is added.
func TestAChangeOfAPluginReplacesThatPluginAlone(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.RoseyBotSpec)
		rolled []manifests.Component
	}{
		"no plugins":  {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins = nil }},
		"no commands": {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Commands = v1alpha1.Commands{} }},
		"settings": {change: func(spec *v1alpha1.RoseyBotSpec) {
			spec.Plugins[0].Config, spec.Plugins[1].Config = nil, nil
		}},
		"grants":       {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins[1].Grants = nil }},
		"order":        {change: func(spec *v1alpha1.RoseyBotSpec) { slices.Reverse(spec.Plugins) }},
		"one built in": {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins = slices.Delete(spec.Plugins, 3, 4) }},
		"image": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins[1].Image = "registry.example/weather:2" },
			rolled: []manifests.Component{weather},
		},
		"environment": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins[1].EnvFrom = nil },
			rolled: []manifests.Component{weather},
		},
		"user": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins[1].NATSCredentialsSecretRef = nil },
			rolled: []manifests.Component{weather},
		},
		"resources": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins[2].Resources = corev1.ResourceRequirements{} },
			rolled: []manifests.Component{greet},
		},
		"pod metadata": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins[1].PodMetadata = v1alpha1.PodMetadata{} },
			rolled: []manifests.Component{weather},
		},
		"host": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.PluginHost.NATSCredentialsSecretRef = nil },
			rolled: []manifests.Component{manifests.Plugins},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bot := readBot(t, "testdata/plugins.yaml")
			before := build(t, bot)
			test.change(&bot.Spec)
			after := build(t, bot)
			for _, component := range manifests.Components(bot) {
				was, is := find[*appsv1.Deployment](before, component), find[*appsv1.Deployment](after, component)
				if got := !cmp.Equal(was.Spec.Template, is.Spec.Template); got != slices.Contains(test.rolled, component) {
					t.Errorf("the %s is replaced: %t", component, got)
				}
			}
		})
	}
}

// What somebody else has written must not get what the bot has: not by a volume, not by the environment, and not from
// others, who give Secrets and identities to pods by their ServiceAccount, labels and annotations.
func TestPluginsHaveNothingOfTheBot(t *testing.T) {
	bot := readBot(t, "testdata/plugins.yaml")
	bot.Spec.ServiceAccountName = "with-an-identity"
	bot.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	bot.Spec.PodMetadata.Annotations = map[string]v1alpha1.AnnotationValue{"vault.hashicorp.com/agent-inject": "true"}
	bot.Spec.PodMetadata.Labels = map[string]v1alpha1.LabelValue{"azure.workload.identity/use": "true"}
	set := build(t, bot)
	if got := find[*appsv1.Deployment](set, weather).Spec.Template.Labels["team"]; got != "weather" {
		t.Errorf("the label of the weather is %q, want its own", got)
	}
	if got, found := find[*appsv1.Deployment](set, greet).Spec.Template.Labels["team"]; found {
		t.Errorf("the greet has the label %q of the bot", got)
	}
	for component, own := range map[manifests.Component]string{
		weather: "movienight-weather-plugin", greet: "movienight-greet-plugin",
	} {
		template := find[*appsv1.Deployment](set, component).Spec.Template
		account := find[*corev1.ServiceAccount](set, component)
		if account == nil || account.Name != own || *account.AutomountServiceAccountToken ||
			template.Spec.ServiceAccountName != own {
			t.Errorf("the %s runs as %s", component, template.Spec.ServiceAccountName)
		}
		if _, found := template.Annotations["vault.hashicorp.com/agent-inject"]; found {
			t.Errorf("the %s has the annotations of the bot", component)
		}
		if _, found := template.Labels["azure.workload.identity/use"]; found {
			t.Errorf("the %s has the labels of the bot", component)
		}
		if len(template.Spec.ImagePullSecrets) != 1 {
			t.Errorf("the image of the %s is pulled with %v", component, template.Spec.ImagePullSecrets)
		}
	}
	for component, want := range map[manifests.Component][]string{
		weather: {"movienight-weather all", "movienight-weather tls.crt", "movienight-weather tls.key", "weather-key env "},
		greet:   nil,
		manifests.Plugins: {
			"llm-key env PLUGIN_", "movienight-plugins all", "movienight-plugins tls.crt", "movienight-plugins tls.key",
			"otlp headers",
		},
	} {
		pod := find[*appsv1.Deployment](set, component).Spec.Template.Spec
		got := slices.DeleteFunc(secretsOf(pod), func(secret string) bool { return secret == "rosey-nats-tls ca.crt" })
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("Secrets of the %s: %q, want %q", component, got, want)
		}
		if *pod.AutomountServiceAccountToken || !*pod.SecurityContext.RunAsNonRoot ||
			!*pod.Containers[0].SecurityContext.ReadOnlyRootFilesystem ||
			!slices.Equal(pod.Containers[0].SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("the %s has the security context %+v", component, pod.Containers[0].SecurityContext)
		}
		isOwn := manifests.PluginName(component) != ""
		if hasProxy := strings.Contains(strings.Join(names(pod.Containers[0].Env), " "), "HTTPS_PROXY"); hasProxy == isOwn {
			t.Errorf("the %s has the variables %v", component, names(pod.Containers[0].Env))
		}
	}
}

// secretsOf returns the Secrets of a pod with the keys that it gets.
func secretsOf(pod corev1.PodSpec) (found []string) {
	keys := func(name string, items []corev1.KeyToPath) {
		for _, item := range items {
			found = append(found, name+" "+item.Key)
		}
		if len(items) == 0 {
			found = append(found, name+" all")
		}
	}
	for _, volume := range pod.Volumes {
		if volume.Secret != nil {
			keys(volume.Secret.SecretName, volume.Secret.Items)
		}
		if volume.Projected != nil {
			for _, source := range volume.Projected.Sources {
				keys(source.Secret.Name, source.Secret.Items)
			}
		}
	}
	for _, source := range pod.Containers[0].EnvFrom {
		found = append(found, source.SecretRef.Name+" env "+source.Prefix)
	}
	return found
}

func names(variables []corev1.EnvVar) (names []string) {
	for _, variable := range variables {
		names = append(names, variable.Name)
	}
	return names
}

// A plugin that fills its directory for files is evicted, and not all pods of its node.
func TestPluginsCannotFillTheDiskOfANode(t *testing.T) {
	bot := readBot(t, "testdata/plugins.yaml")
	bot.Spec.Plugins[2].Resources.Limits = corev1.ResourceList{
		corev1.ResourceEphemeralStorage: resource.MustParse("2Gi"),
	}
	set := build(t, bot)
	for component, want := range map[manifests.Component]string{weather: "128Mi", greet: "2Gi"} {
		for _, volume := range find[*appsv1.Deployment](set, component).Spec.Template.Spec.Volumes {
			if volume.EmptyDir != nil && (volume.EmptyDir.SizeLimit == nil || volume.EmptyDir.SizeLimit.String() != want) {
				t.Errorf("%s of the %s may have %v", volume.Name, component, volume.EmptyDir.SizeLimit)
			}
		}
	}
}

// Whether a plugin serves HTTP, only its author knows. One that does not must neither be killed nor scraped for it.
func TestOnlyPluginsThatServeHTTPAreProbed(t *testing.T) {
	set := build(t, readBot(t, "testdata/plugins.yaml"))
	for component, serves := range map[manifests.Component]bool{weather: false, greet: true, manifests.Plugins: true} {
		template := find[*appsv1.Deployment](set, component).Spec.Template
		container := template.Spec.Containers[0]
		policy := find[*networkingv1.NetworkPolicy](set, component)
		for what, got := range map[string]bool{
			"is probed":        container.LivenessProbe != nil || container.ReadinessProbe != nil,
			"has a port":       len(container.Ports) > 0,
			"is scraped":       template.Labels[manifests.LabelPodMonitor] == "",
			"lets somebody in": len(policy.Spec.Ingress) > 0,
			"listens": slices.ContainsFunc(container.Env, func(variable corev1.EnvVar) bool {
				return variable.Name == "ROSEY_HTTP_ADDRESS" && variable.Value == ":8080"
			}) || component == manifests.Plugins,
		} {
			if got != serves {
				t.Errorf("%s %s: %t", component, what, got)
			}
		}
		if !slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			t.Errorf("the policy of %s is for %v", component, policy.Spec.PolicyTypes)
		}
	}
	if find[*corev1.Service](set, weather) != nil || find[*corev1.Service](set, manifests.Plugins) != nil {
		t.Error("a plugin has a Service, although nobody connects to it")
	}
}

// Two processes of one plugin would both say a line that is due. Several pods that are asked for share the work.
func TestAPluginWithOnePodHasNeverTwo(t *testing.T) {
	set := build(t, readBot(t, "testdata/plugins.yaml"))
	for component, want := range map[manifests.Component]appsv1.DeploymentStrategyType{
		manifests.Plugins: appsv1.RecreateDeploymentStrategyType, weather: appsv1.RecreateDeploymentStrategyType,
		greet: appsv1.RollingUpdateDeploymentStrategyType,
	} {
		if got := find[*appsv1.Deployment](set, component).Spec.Strategy.Type; got != want {
			t.Errorf("the strategy of %s is %s", component, got)
		}
	}
	if find[*policyv1.PodDisruptionBudget](set, greet) == nil || find[*policyv1.PodDisruptionBudget](set, weather) != nil {
		t.Error("expected a budget for several pods, and none for one, which would keep a node from being drained")
	}
}

// A plugin may have any name, such as that of a component, and a RoseyBot may be named like another one with a plugin.
func TestNoTwoObjectsHaveOneName(t *testing.T) {
	seen := map[manifests.Key]string{}
	for _, name := range []string{"a", "a-b", "a-plugin", "a-b-plugin", "a-plugins", "a-live"} {
		bot := readBot(t, "testdata/plugins.yaml")
		bot.Name, bot.Spec.Plugins = name, []v1alpha1.Plugin{{Name: "dice", Builtin: "dice"}}
		bot.Spec.Web = &v1alpha1.Web{Enabled: new(true), Public: new(true)}
		for _, plugin := range []v1alpha1.PluginName{"b", "bot", "db", "web", "plugin", "plugins", "live", "config"} {
			bot.Spec.Plugins = append(bot.Spec.Plugins, v1alpha1.Plugin{Name: plugin, Image: "p"})
		}
		for _, desired := range build(t, bot) {
			key := manifests.KeyOf(desired.Object)
			if other := seen[key]; other != "" {
				t.Errorf("%s is of %s and of %s", key, other, name)
			}
			seen[key] = name
		}
	}
}

// observeBeforePlugins returns a cluster in which a version of the operator without plugins has built a RoseyBot.
func observeBeforePlugins(t *testing.T, bot *v1alpha1.RoseyBot) manifests.Observed {
	t.Helper()
	old := manifests.FindUpdate(bot, build(t, bot), manifests.Observed{}).Built
	template := &botDeployment(old).Spec.Template
	template.Spec.Volumes = slices.DeleteFunc(template.Spec.Volumes, func(volume corev1.Volume) bool {
		return volume.Name == "live"
	})
	delete(databaseDeployment(old).Spec.Template.Annotations, "rosey.dev/plugin-keys")
	for _, workload := range []*appsv1.Deployment{botDeployment(old), databaseDeployment(old)} {
		workload.Annotations["rosey.dev/template-hash"] = manifests.Hash(workload.Spec.Template)
	}
	return observe(old)
}

// A bot that an older operator has built reads no list of plugins, and such a database service keeps nothing for them:
// the bot is replaced when there is something for it to read, the service when there is a plugin, and neither because
// of plugins again.
func TestPluginsReplaceABotAndAServiceThatDoNotKnowThemOnce(t *testing.T) {
	bot := readBot(t, "testdata/plugins.yaml")
	plugins, commands := bot.Spec.Plugins, bot.Spec.Commands
	bot.Spec.Plugins, bot.Spec.Commands = nil, v1alpha1.Commands{}
	observed := observeBeforePlugins(t, bot)
	images := func(image string) (of [2]string) {
		built, err := manifests.Build(bot, manifests.Params{Image: image}, observed)
		if err != nil {
			t.Fatal(err)
		}
		update := manifests.FindUpdate(bot, built, observed)
		pinned := update.Pinned
		bot.Status.Pinned = update.Status
		for _, desired := range pinned {
			observed.Objects[manifests.KeyOf(desired.Object)] = desired.Object
		}
		imageOf := func(workload *appsv1.Deployment) string { return workload.Spec.Template.Spec.Containers[0].Image }
		return [2]string{imageOf(botDeployment(pinned)), imageOf(databaseDeployment(pinned))}
	}
	before := testParams.Image
	if got := images("newer"); got != [2]string{before, before} {
		t.Errorf("without plugins, an upgrade of the operator replaces pods: %q", got)
	}
	if manifests.ServiceKeepsPluginKeys(bot) {
		t.Error("nobody says that the service keeps nothing for plugins of RoseyBots that share it")
	}
	bot.Spec.Commands = commands
	bot.Generation++
	if got := images("newer"); got != [2]string{"newer", before} {
		t.Errorf("with commands the bot and the database service run %q", got)
	}
	_ = images("newest")
	bot.Spec.Plugins = plugins
	bot.Generation++
	if got := images("newest"); got != [2]string{"newer", "newest"} {
		t.Errorf("with plugins the bot and the database service run %q", got)
	}
	_ = images("last")
	bot.Spec.Plugins = plugins[:2]
	bot.Generation++
	if got := images("last"); got != [2]string{"newer", "newest"} || !manifests.ServiceKeepsPluginKeys(bot) {
		t.Errorf("after another change of plugins the bot and the database service run %q", got)
	}
}

// Somebody may have an object of the name that a newer version of the operator needs. As long as nothing is started
// from it, the RoseyBot must not fail because of it.
func TestLiveFilesAreThereWhenTheyAreMounted(t *testing.T) {
	bot := readBot(t, "testdata/plugins.yaml")
	commands := bot.Spec.Commands
	bot.Spec.Plugins, bot.Spec.Commands = nil, v1alpha1.Commands{}
	observed := observeBeforePlugins(t, bot)
	delete(observed.Objects, manifests.Key{Kind: "ConfigMap", Name: "movienight-live"})
	hasFiles := func(set []manifests.Desired) bool {
		return slices.ContainsFunc(set, func(next manifests.Desired) bool {
			return manifests.KeyOf(next.Object) == manifests.Key{Kind: "ConfigMap", Name: "movienight-live"}
		})
	}
	if hasFiles(upgraded(t, bot, observed)) {
		t.Error("there are files that no pod mounts")
	}
	bot.Spec.Commands = commands
	bot.Generation++
	if !hasFiles(upgraded(t, bot, observed)) || !hasFiles(build(t, bot)) {
		t.Error("the bot has no files to read")
	}
}

// A text takes about as much room in the files as in the spec, whose size is limited.
func TestLiveFilesAreNotMuchLargerThanTheSpec(t *testing.T) {
	bot := readBot(t, "testdata/plugins.yaml")
	bot.Spec.Plugins[0].Config = map[string]v1alpha1.PluginSetting{
		"text": v1alpha1.PluginSetting(strings.Repeat("<&>", 1000)),
	}
	files, err := manifests.LiveFiles(bot)
	if size := len(files[config.PluginsFile]); err != nil || size > 4000 {
		t.Errorf("3000 characters take %d bytes, %v", size, err)
	}
	if plugins, err := config.ParsePlugins([]byte(files[config.PluginsFile])); err != nil ||
		plugins[0].Config["text"] != string(bot.Spec.Plugins[0].Config["text"]) {
		t.Errorf("the host reads %v, %v", plugins, err)
	}
}

// A built-in plugin of the runtime image can be asked for.
func TestEveryBuiltinPluginIsInTheSchema(t *testing.T) {
	text, err := os.ReadFile("../../config/crd/bases/rosey.dev_roseybots.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(text, crd); err != nil {
		t.Fatal(err)
	}
	properties := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
	plugin := properties["spec"].Properties["plugins"]
	enumOf := func(schema apiextensionsv1.JSONSchemaProps) (values []string) {
		for _, value := range schema.Enum {
			values = append(values, strings.Trim(string(value.Raw), `"`))
		}
		return values
	}
	builtin := enumOf(plugin.Items.Schema.Properties["builtin"])
	for _, name := range config.BuiltinNames() {
		if !slices.Contains(builtin, name) {
			t.Errorf("spec.plugins[].builtin has %q, and not %s", builtin, name)
		}
	}
	states := properties["status"].Properties["plugins"]
	if *plugin.MaxItems != config.MaxPlugins || *states.MaxItems != status.MaxReportedPlugins ||
		*states.Items.Schema.Properties["commands"].MaxItems != status.MaxReportedCommands {
		t.Error("the schema has other limits than the processes")
	}
	grants := plugin.Items.Schema.Properties["grants"].Properties
	var acts []string
	for _, verb := range enumOf(grants["act"].Items.Schema.Properties["verb"]) {
		acts = append(acts, "{verb: "+verb+"}")
	}
	state := enumOf(*grants["state"].Items.Schema)
	// The schema permits all that there are at once, and so do the processes.
	if *grants["act"].MaxItems < int64(len(acts)) || *grants["state"].MaxItems < int64(len(state)) {
		t.Errorf("grants has at most %d acts of %s and %d parts of the state of %s", *grants["act"].MaxItems, acts,
			*grants["state"].MaxItems, state)
	}
	text = fmt.Appendf(nil, "- {name: a, grants: {act: [%s], state: [%s]}}", strings.Join(acts, ", "),
		strings.Join(state, ", "))
	if _, err := config.ParsePlugins(text); err != nil {
		t.Error(err)
	}
}
