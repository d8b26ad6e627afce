package manifests_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestBuildMatchesGoldenFiles(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, input := range inputs {
		if strings.HasSuffix(input, ".golden.yaml") || strings.HasSuffix(input, ".owner.yaml") {
			continue
		}
		compared++
		t.Run(filepath.Base(input), func(t *testing.T) {
			name := strings.TrimSuffix(input, ".yaml")
			var observed manifests.Observed
			if _, err := os.Stat(name + ".owner.yaml"); err == nil {
				observed.Owner = readBot(t, name+".owner.yaml")
			}
			got := render(t, buildObserving(t, readBot(t, input), observed))
			golden := name + ".golden.yaml"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; `go test -update` writes it", err)
			}
			if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
				t.Errorf("objects (-golden +built):\n%s", diff)
			}
		})
	}
	if compared < 12 {
		t.Errorf("there are %d RoseyBots in testdata, want a dozen", compared)
	}
}

func TestBuildIsPure(t *testing.T) {
	bot := readBot(t, "testdata/full.yaml")
	before := bot.DeepCopy()
	first := render(t, build(t, bot))
	for range 20 {
		if diff := cmp.Diff(lines(first), lines(render(t, build(t, bot)))); diff != "" {
			t.Fatalf("two builds differ:\n%s", diff)
		}
	}
	if diff := cmp.Diff(before, bot); diff != "" {
		t.Errorf("Build changed the RoseyBot:\n%s", diff)
	}
}

// The processes accept the configuration: each file passes the validation of package config.
func TestConfigurationIsAccepted(t *testing.T) {
	goldens, err := filepath.Glob("testdata/*.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, golden := range goldens {
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		configuration := &corev1.ConfigMap{}
		for document := range strings.SplitSeq(string(text), "---\n") {
			if strings.Contains(document, "kind: ConfigMap") && !strings.Contains(document, "component: plugin-") {
				err = yaml.Unmarshal([]byte(document), configuration)
			}
		}
		if err != nil || configuration.Data[config.BotFile] == "" {
			t.Errorf("%s: no configuration of the bot: %v", golden, err)
		}
		checkFiles(t, configuration.Data)
	}
}

// What a user writes into telemetry reaches the processes as it is, whatever its characters.
func TestTelemetryReachesTheProcesses(t *testing.T) {
	files := configMapOf(build(t, readBot(t, "testdata/telemetry.yaml"))).Data
	for file, component := range map[string]status.Component{
		config.BotFile: manifests.Bot, config.DatabaseFile: manifests.Database,
	} {
		parsed, err := config.Parse([]byte(files[file]), component)
		if err != nil {
			t.Fatal(err)
		}
		if ratio := parsed.Telemetry.Ratio(); ratio == nil || *ratio != 0.01 {
			t.Errorf("%s: the ratio is %v", file, ratio)
		}
		want := map[string]string{
			"deployment.environment.name": "a = b, 100 %", "k8s.namespace.name": "fun",
			"k8s.container.name": string(component), "rosey.roseybot.name": "movienight",
			"k8s.deployment.name": manifests.Name(readBot(t, "testdata/telemetry.yaml"), component),
		}
		if diff := cmp.Diff(want, parsed.Telemetry.Attributes()); diff != "" {
			t.Errorf("%s: attributes (-want +got):\n%s", file, diff)
		}
	}
}

func checkFiles(t *testing.T, files map[string]string) {
	t.Helper()
	for file, text := range files {
		if file == config.StandbyFile {
			if _, err := strconv.ParseBool(text); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		if file == config.ChannelsFile {
			if channels, err := config.ParseChannels([]byte(text)); err != nil || len(channels) == 0 {
				t.Errorf("%s: %v, %v\n%s", file, channels, err, text)
			}
			continue
		}
		if file == config.ProvenanceFile {
			if _, err := config.ParseProvenance([]byte(text)); err != nil {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
			continue
		}
		if file == config.CommandsFile || file == config.PluginsFile {
			parse := func(text []byte) error { _, err := config.ParseCommands(text); return err }
			if file == config.PluginsFile {
				parse = func(text []byte) error { _, err := config.ParsePlugins(text); return err }
			}
			if err := parse([]byte(text)); err != nil {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
			continue
		}
		component, known := map[string]status.Component{
			config.BotFile: status.BotComponent, config.DatabaseFile: status.DatabaseComponent,
			config.WebFile: status.WebComponent, config.PluginHostFile: status.PluginsComponent,
		}[file]
		if _, err := config.Parse([]byte(text), component); err != nil || !known {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
}

// The ports, paths and variables in base.yaml are those of the processes.
func TestBaseMatchesTheProcesses(t *testing.T) {
	set := build(t, readBot(t, "testdata/web.yaml"))
	container := botDeployment(set).Spec.Template.Spec.Containers[0]
	web := find[*appsv1.Deployment](set, manifests.Web).Spec.Template.Spec.Containers[0]
	plugged := build(t, readBot(t, "testdata/plugins.yaml"))
	host := find[*appsv1.Deployment](plugged, manifests.Plugins).Spec.Template.Spec.Containers[0]
	got := []any{
		web.Ports[0].ContainerPort, web.Ports[1].ContainerPort, find[*corev1.Service](set, manifests.Web).Spec.Ports[0].Port,
		web.Args[2], host.Args[3],
		container.Ports[0].ContainerPort, find[*corev1.Service](set, manifests.Bot).Spec.Ports[0].Port,
		container.Env[0].Name, container.Env[1].Name,
		container.StartupProbe.HTTPGet.Path, container.LivenessProbe.HTTPGet.Path, container.ReadinessProbe.HTTPGet.Path,
	}
	want := []any{
		int32(status.HTTPPort), int32(status.PagesPort), int32(status.PagesPort), config.ConfigDir + "/" + config.WebFile,
		config.ConfigDir + "/" + config.PluginHostFile,
		int32(status.HTTPPort), int32(status.HTTPPort), config.PodNameVariable, config.PodUIDVariable,
		status.HealthPath, status.HealthPath, status.ReadyPath,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ports and paths (-runtime +base.yaml):\n%s", diff)
	}
}

// A setting restarts the components that read it and not the others.
func TestChangeRestartsOnlyComponentsThatReadIt(t *testing.T) {
	tests := map[string]struct {
		change             func(*v1alpha1.RoseyBotSpec)
		bot, database, web bool
	}{
		"nothing": {change: func(*v1alpha1.RoseyBotSpec) {}},
		"account": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Account.Username = "Other" },
			bot:    true,
		},
		"prefix": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.NATS.SubjectPrefix = "other" },
			bot:    true, database: true, web: true,
		},
		"database resources": {
			change:   func(spec *v1alpha1.RoseyBotSpec) { spec.Database.Resources = corev1.ResourceRequirements{} },
			database: true,
		},
		"replicas": {change: func(spec *v1alpha1.RoseyBotSpec) { *spec.Replicas = 0 }},
		// The bot in the channel stays when a standby is added or removed.
		"standby": {change: func(spec *v1alpha1.RoseyBotSpec) { *spec.Replicas = 2 }},
		"suspend": {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Suspend = new(true) }},
		"public": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Web.Public = new(true) },
			web:    true,
		},
		"web page disabled": {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Web.Enabled = new(false) }},
		"web replicas":      {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Web.Replicas = new(int32(3)) }},
		"stream": {
			change: func(spec *v1alpha1.RoseyBotSpec) {
				spec.NATS.JetStream = &v1alpha1.JetStream{Mode: v1alpha1.JetStreamAlways}
			},
			bot: true, database: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bot := readBot(t, "testdata/full.yaml")
			bot.Spec.Web = &v1alpha1.Web{Enabled: new(true)}
			before := build(t, bot)
			test.change(&bot.Spec)
			after := build(t, bot)
			changed := func(pick func([]manifests.Desired) *appsv1.Deployment) bool {
				return !cmp.Equal(pick(before).Spec.Template, pick(after).Spec.Template)
			}
			if got := changed(botDeployment); got != test.bot {
				t.Errorf("bot restarts: %t, want %t", got, test.bot)
			}
			if got := changed(databaseDeployment); got != test.database {
				t.Errorf("database service restarts: %t, want %t", got, test.database)
			}
			was, is := find[*appsv1.Deployment](before, manifests.Web), find[*appsv1.Deployment](after, manifests.Web)
			if got := is != nil && !cmp.Equal(was.Spec.Template, is.Spec.Template); got != test.web {
				t.Errorf("web page restarts: %t, want %t", got, test.web)
			}
		})
	}
}

// Immutable fields of a claim are those of the live one.
func TestClaimKeepsImmutableFields(t *testing.T) {
	bot := readBot(t, "testdata/full.yaml") // asks for 2Gi of class fast
	desired := claimOf(build(t, bot))
	tests := map[string]struct{ live, liveClass, want, wantClass string }{
		"same":    {"2Gi", "fast", "2Gi", "fast"},
		"grows":   {"1Gi", "fast", "2Gi", "fast"},
		"smaller": {"5Gi", "fast", "5Gi", "fast"},
		"class":   {"2Gi", "slow", "2Gi", "slow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			live := claim(t, test.live, test.liveClass)
			got := claimOf(buildObserving(t, bot, manifests.Observed{
				Objects: map[manifests.Key]client.Object{manifests.KeyOf(desired): live},
			}))
			if size := got.Spec.Resources.Requests[corev1.ResourceStorage]; size.String() != test.want {
				t.Errorf("size is %s, want %s", size.String(), test.want)
			}
			if *got.Spec.StorageClassName != test.wantClass {
				t.Errorf("storage class is %s, want %s", *got.Spec.StorageClassName, test.wantClass)
			}
			if !slices.Equal(got.Spec.AccessModes, live.Spec.AccessModes) {
				t.Errorf("access modes are %v, want %v", got.Spec.AccessModes, live.Spec.AccessModes)
			}
		})
	}
}

// The operator's labels and annotations take precedence, even for a RoseyBot that the CRD would reject.
func TestPodMetadataDoesNotOverrideTheOperators(t *testing.T) {
	bot := readBot(t, "testdata/full.yaml")
	bot.Spec.PodMetadata = v1alpha1.PodMetadata{
		Labels:      map[string]v1alpha1.LabelValue{manifests.LabelRoseyBot: "other", "team": "fun"},
		Annotations: map[string]v1alpha1.AnnotationValue{"rosey.dev/config-hash": "other"},
	}
	template := botDeployment(build(t, bot)).Spec.Template
	if template.Labels[manifests.LabelRoseyBot] != bot.Name || template.Labels["team"] != "fun" {
		t.Errorf("labels are %v", template.Labels)
	}
	if template.Annotations["rosey.dev/config-hash"] == "other" {
		t.Error("the annotation is overridden")
	}
}

func TestMetricsLabelsAreThoseOfTheOperator(t *testing.T) {
	bot := &v1alpha1.RoseyBot{ObjectMeta: metav1.ObjectMeta{Name: "fun", Namespace: "films"}}
	bot.Spec.NATS = &v1alpha1.NATS{URL: "nats://n:4222"}
	want := map[string]string{"team": "watches"}
	set, err := manifests.Build(bot, manifests.Params{Image: "rosey:v1", MetricsLabels: want}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, component := range []manifests.Component{manifests.Bot, manifests.Database} {
		policy := find[*networkingv1.NetworkPolicy](set, component)
		if diff := cmp.Diff(want, policy.Spec.Ingress[0].From[1].NamespaceSelector.MatchLabels); diff != "" {
			t.Errorf("labels of %s (-want +got):\n%s", component, diff)
		}
	}
}

func TestPodSecurityContextDefaults(t *testing.T) {
	bot := readBot(t, "testdata/minimal.yaml")
	group := func() *int64 { return databaseDeployment(build(t, bot)).Spec.Template.Spec.SecurityContext.FSGroup }
	if group() == nil {
		t.Error("the database service has no fsGroup by default")
	}
	bot.Spec.PodSecurityContext = &corev1.PodSecurityContext{}
	if got := group(); got != nil {
		t.Errorf("cleared, the fsGroup is %d", *got)
	}
	bot.Spec.PodSecurityContext.RunAsNonRoot = new(false)
	security := botDeployment(build(t, bot)).Spec.Template.Spec.SecurityContext
	if *security.RunAsNonRoot || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("security context is %v", security)
	}
}

func claim(t *testing.T, size, class string) *corev1.PersistentVolumeClaim {
	t.Helper()
	text := `{"spec":{"accessModes":["ReadWriteOncePod"],"storageClassName":"` + class +
		`","resources":{"requests":{"storage":"` + size + `"}}}}`
	made := &corev1.PersistentVolumeClaim{}
	if err := yaml.UnmarshalStrict([]byte(text), made); err != nil {
		t.Fatal(err)
	}
	return made
}

func readBot(t *testing.T, path string) *v1alpha1.RoseyBot {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bot := &v1alpha1.RoseyBot{}
	if err := yaml.UnmarshalStrict(text, bot); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return bot
}

var testParams = manifests.Params{Image: "rosey.example/rosey:default", OperatorNamespace: "ops"}

func build(t *testing.T, bot *v1alpha1.RoseyBot) []manifests.Desired {
	t.Helper()
	return buildObserving(t, bot, manifests.Observed{})
}

func buildObserving(t *testing.T, bot *v1alpha1.RoseyBot, observed manifests.Observed) []manifests.Desired {
	t.Helper()
	set, err := manifests.Build(bot, testParams, observed)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func render(t *testing.T, set []manifests.Desired) []byte {
	t.Helper()
	var documents [][]byte
	for _, desired := range set {
		text, err := yaml.Marshal(desired.Object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, text)
	}
	return bytes.Join(documents, []byte("---\n"))
}

func lines(text []byte) []string { return strings.Split(string(text), "\n") }

func botDeployment(set []manifests.Desired) *appsv1.Deployment {
	return find[*appsv1.Deployment](set, manifests.Bot)
}

func databaseDeployment(set []manifests.Desired) *appsv1.Deployment {
	return find[*appsv1.Deployment](set, manifests.Database)
}

func claimOf(set []manifests.Desired) *corev1.PersistentVolumeClaim {
	return find[*corev1.PersistentVolumeClaim](set, manifests.Database)
}

func configMapOf(set []manifests.Desired) *corev1.ConfigMap { return find[*corev1.ConfigMap](set, "") }

// find returns the object of a type and component. If there is none, the nil pointer fails the test.
func find[T client.Object](set []manifests.Desired, component manifests.Component) (found T) {
	for _, desired := range set {
		if object, ok := desired.Object.(T); ok && desired.Component == component {
			return object
		}
	}
	return found
}
