package manifests_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

// sanitize returns a text that starts and ends with a letter or digit and has a valid length.
func sanitize(text, letters string, longest int) string {
	made := []byte{letters[0]}
	for _, letter := range []byte(text) {
		made = append(made, letters[int(letter)%len(letters)])
	}
	return strings.TrimRight(string(made[:min(len(made), longest)]), "-_.")
}

const (
	lower = "abcdefghijklmnopqrstuvwxyz0123456789-"
	any64 = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
)

// randomBot makes a RoseyBot from random bytes. The CRD accepts its names, lengths and numbers.
func randomBot(data []byte) *v1alpha1.RoseyBot {
	bot := &v1alpha1.RoseyBot{}
	text := func(fill randfill.Continue) string { return fill.String(60) }
	randfill.NewFromGoFuzz(data).NilChance(0.3).NumElements(0, 3).MaxDepth(12).Funcs(
		func(value *resource.Quantity, fill randfill.Continue) {
			*value = *resource.NewQuantity(fill.Int63n(1<<40)+1, resource.BinarySI)
		},
		func(value *intstr.IntOrString, fill randfill.Continue) { *value = intstr.FromInt32(fill.Int31()) },
		func(value *string, fill randfill.Continue) { *value = sanitize(text(fill), lower, 40) },
		func(value *v1alpha1.LabelValue, fill randfill.Continue) {
			*value = v1alpha1.LabelValue(sanitize(text(fill), any64, 63))
		},
		func(value *v1alpha1.Channel, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Server, value.Name = "https://"+sanitize(text(fill), lower, 60), sanitize(text(fill), any64, 30)
		},
		func(value *v1alpha1.Account, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Username = sanitize(text(fill), any64, 20)
		},
		func(value *v1alpha1.NATS, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.URL, value.SubjectPrefix = "nats://"+sanitize(text(fill), lower, 60), sanitize(text(fill), any64, 64)
		},
		func(value *v1alpha1.JetStream, fill randfill.Continue) {
			*value = v1alpha1.JetStream{
				Mode:     []v1alpha1.JetStreamMode{v1alpha1.JetStreamAuto, v1alpha1.JetStreamAlways}[fill.Intn(2)],
				Replicas: new(fill.Int31n(5) + 1),
				MaxAge:   []string{"", "72h", "1h30m"}[fill.Intn(3)],
				MaxBytes: resource.NewQuantity(fill.Int63n(1<<40-1<<20)+1<<20, resource.BinarySI),
			}
		},
		func(value *v1alpha1.Telemetry, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Endpoint = "https://" + sanitize(text(fill), lower, 60)
			value.Protocol = []v1alpha1.TelemetryProtocol{"", config.OTLPHTTP, config.OTLPGRPC}[fill.Intn(3)]
			value.SamplingRatio = []string{"", "0", "0.000001", "1"}[fill.Intn(4)]
		},
		func(value *v1alpha1.AttributeValue, fill randfill.Continue) {
			*value = v1alpha1.AttributeValue(strings.ReplaceAll(text(fill), "\n", ","))
		},
		func(value *v1alpha1.RetentionPeriod, fill randfill.Continue) {
			*value = []v1alpha1.RetentionPeriod{"", "forever", "1h", "150h30m"}[fill.Intn(4)]
		},
		func(value *v1alpha1.Backup, fill randfill.Continue) {
			*value = v1alpha1.Backup{
				Every: []string{"", "1h", "24h"}[fill.Intn(3)], Keep: new(fill.Int31n(1000) + 1),
			}
			switch fill.Intn(3) {
			case 0:
				value.ClaimName = "backups"
			case 1:
				value.Claim = &v1alpha1.BackupClaim{}
				fill.Fill(value.Claim)
			}
		},
		func(value *v1alpha1.Web, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.BasePath = []string{"", "/", "/a.b/~c", "/movienight/"}[fill.Intn(4)]
			value.People = []v1alpha1.PeoplePages{
				"", v1alpha1.PeoplePublic, v1alpha1.PeopleTokensOnly, v1alpha1.PeopleOff,
			}[fill.Intn(4)]
		},
		func(value *v1alpha1.Plugin, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Probes = []v1alpha1.PluginProbes{"", v1alpha1.PluginProbesNone, v1alpha1.PluginProbesHTTP}[fill.Intn(3)]
			value.Builtin, value.Image, value.Replicas = "", "registry.example/plugin", new(fill.Int31n(5)+1)
			if fill.Bool() {
				*value = v1alpha1.Plugin{Name: value.Name, Builtin: "dice", Config: value.Config, Grants: value.Grants}
			}
		},
		func(value *v1alpha1.PluginName, fill randfill.Continue) {
			*value = v1alpha1.PluginName(sanitize(text(fill), lower[:36], 30))
		},
		func(value *v1alpha1.PluginSetting, fill randfill.Continue) {
			*value = v1alpha1.PluginSetting(strings.ToValidUTF8(text(fill), ""))
		},
		func(value *v1alpha1.PluginGrants, fill randfill.Continue) {
			*value = v1alpha1.PluginGrants{
				Events: []v1alpha1.PluginEvent{"message"}, Say: fill.Bool(), Queue: fill.Bool(),
				State: []v1alpha1.PluginThing{"users", "media", "playlist", "poll"}[:fill.Intn(5)],
			}
			if fill.Bool() {
				value.Act = []v1alpha1.ActGrant{{Verb: "playlist.add", Rank: new(fill.Int31n(256))}, {Verb: "kick"}}
			}
		},
		func(value *v1alpha1.CommandCooldown, fill randfill.Continue) {
			*value = v1alpha1.CommandCooldown{UserSeconds: new(fill.Int31n(3601))}
		},
		func(value *v1alpha1.UserName, fill randfill.Continue) {
			*value = v1alpha1.UserName(sanitize(text(fill), any64, 20))
		},
		func(value *v1alpha1.CommandOverride, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Name, value.Rank = sanitize(text(fill), lower, 30), new(fill.Int31n(256))
			value.Allow, value.Deny = []v1alpha1.UserName{"alice"}, nil
		},
		func(value *v1alpha1.Commands, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Prefix = []string{"", "!", ".", "!!"}[fill.Intn(4)]
			for i := range value.Overrides {
				value.Overrides[i].Command = fmt.Sprintf("command%d", i)
			}
			value.Ignore = slices.Compact(value.Ignore)
		},
		func(value *v1alpha1.Limits, fill randfill.Continue) {
			if text, err := json.Marshal(config.Limits{}.WithDefaults()); err == nil && fill.Bool() {
				_ = json.Unmarshal(text, value) // a difference between the two types makes a test fail
			}
		},
		func(value *v1alpha1.RoseyBotSpec, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Channel.MaxMessageLength = []int32{0, 40, 1000}[fill.Intn(3)]
			value.LogLevel = []string{"debug", "info", "warn", "error"}[fill.Intn(4)]
			value.Replicas, value.Mode = new(fill.Int31n(2)), v1alpha1.ModeNATS
			slices.SortFunc(value.Plugins, func(a, b v1alpha1.Plugin) int {
				return strings.Compare(string(a.Name), string(b.Name))
			})
			value.Plugins = slices.CompactFunc(value.Plugins, func(a, b v1alpha1.Plugin) bool { return a.Name == b.Name })
			fillModes(value, fill)
		},
		func(value *v1alpha1.RoseyBot, fill randfill.Continue) {
			value.Name, value.Namespace = sanitize(text(fill), lower, 50), sanitize(text(fill), lower, 63)
			fill.Fill(&value.Spec)
		},
	).Fill(bot)
	return bot
}

// fillModes makes the parts of a spec consistent, as the rules of the CRD require.
func fillModes(spec *v1alpha1.RoseyBotSpec, fill randfill.Continue) {
	database := ptr.Deref(spec.Database, v1alpha1.Database{})
	postgres := &v1alpha1.Postgres{}
	fill.Fill(postgres)
	database.Postgres, database.SharedFrom = nil, nil
	database.Replicas, database.Autoscaling, database.DirectFallback = nil, nil, nil
	if fill.Bool() {
		database.Postgres, database.SQLite = postgres, nil
	}
	switch fill.Intn(4) {
	case 0:
		spec.Mode, spec.NATS = v1alpha1.ModeDirect, nil
		spec.Database = &database
		return
	case 1:
		database = v1alpha1.Database{SharedFrom: &v1alpha1.ObjectRef{Name: "owner"}}
		spec.NATS = nil
	case 2:
		if database.Postgres != nil {
			most := fill.Int31n(50) + 1
			database.Replicas, database.DirectFallback = new(fill.Int31n(50)+1), new(fill.Bool())
			database.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: new(fill.Int31n(most) + 1), MaxReplicas: most}
		}
	}
	spec.Database = &database
	if spec.NATS == nil && database.SharedFrom == nil {
		spec.NATS = &v1alpha1.NATS{}
		fill.Fill(spec.NATS)
	}
	if spec.Account != nil {
		spec.Replicas = new(fill.Int31n(4))
	}
}

// For any RoseyBot, Build does not panic, returns the same objects twice, and returns valid names, labels and
// configuration.
func FuzzBuild(f *testing.F) {
	for seed := range 300 {
		data := make([]byte, 0, 2000)
		for i := range cap(data) {
			data = append(data, byte(seed*31+i*(seed+7)+i*i*seed))
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bot := randomBot(data)
		owner := randomBot(slices.Concat([]byte("owner"), data))
		owner.Spec.Mode, owner.Spec.Database = v1alpha1.ModeNATS, nil
		owner.Spec.NATS = &v1alpha1.NATS{URL: "nats://owner", CredentialsSecretRef: &v1alpha1.ObjectRef{Name: "c"}}
		observed := manifests.Observed{Owner: owner}
		set := buildObserving(t, bot, observed)
		again := buildObserving(t, bot.DeepCopy(), observed)
		if diff := cmp.Diff(lines(render(t, set)), lines(render(t, again))); diff != "" {
			t.Fatalf("two builds differ:\n%s", diff)
		}
		for _, desired := range set {
			object := desired.Object
			problems := validation.IsDNS1035Label(object.GetName())
			if manifests.PluginName(desired.Component) != "" { // no Service has this name
				problems = validation.IsDNS1123Subdomain(object.GetName())
			}
			if len(problems) > 0 {
				t.Errorf("%T %q: %v", object, object.GetName(), problems)
			}
			checkLabels(t, object.GetLabels())
			if deployment, ok := object.(*appsv1.Deployment); ok {
				checkPod(t, deployment.Spec.Template)
				checkSources(t, desired.Component, deployment.Spec.Template.Spec.Containers[0].EnvFrom)
			}
		}
		checkFiles(t, configMapOf(set).Data)
		files, err := manifests.LiveFiles(bot)
		if err != nil {
			t.Fatal(err)
		}
		checkFiles(t, files)
	})
}

func checkLabels(t *testing.T, labels map[string]string) {
	t.Helper()
	for key, value := range labels {
		if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
			t.Errorf("label %q: %q: %v", key, value, problems)
		}
	}
	if labels[manifests.LabelManagedBy] != manifests.ManagedBy {
		t.Errorf("with labels %v, the cache does not contain the object", labels)
	}
}

// checkSources checks that ConfigMaps and Secrets give no variable to a process of the runtime that one of its
// settings, or a library, reads: it would say where the process sends its credentials.
func checkSources(t *testing.T, component manifests.Component, sources []corev1.EnvFromSource) {
	t.Helper()
	for _, source := range sources {
		if manifests.PluginName(component) == "" && !strings.HasPrefix(source.Prefix, config.PluginVariablePrefix) {
			t.Errorf("the %s has variables with the prefix %q", component, source.Prefix)
		}
	}
}

func checkPod(t *testing.T, template corev1.PodTemplateSpec) {
	t.Helper()
	checkLabels(t, template.Labels)
	mounted := map[string]bool{}
	for _, volume := range template.Spec.Volumes {
		if problems := validation.IsDNS1123Label(volume.Name); len(problems) > 0 || mounted[volume.Name] {
			t.Errorf("volume %q: twice, or %v", volume.Name, problems)
		}
		mounted[volume.Name] = true
	}
	for _, mount := range template.Spec.Containers[0].VolumeMounts {
		if !mounted[mount.Name] {
			t.Errorf("no volume %q for %s", mount.Name, mount.MountPath)
		}
	}
}
