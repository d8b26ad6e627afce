package controllers

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// fullBot returns a RoseyBot that sets every field, except those that exclude others.
func fullBot() *v1alpha1.RoseyBot {
	bot := withPodSettings(newBot("fun"))
	secret := func(name v1alpha1.ObjectName) *v1alpha1.SecretKeyRef {
		return &v1alpha1.SecretKeyRef{Name: name, Key: "key"}
	}
	resources := corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: quantity("1")}}
	spec := &bot.Spec
	spec.Channel = v1alpha1.Channel{Server: "https://cytu.be", Name: "movienight", PasswordSecretRef: secret("channel")}
	spec.Channel.MaxMessageLength = 240
	spec.Account.PasswordSecretRef = secret("account")
	spec.NATS.SubjectPrefix = "rosey"
	spec.Database = &v1alpha1.Database{
		SQLite: &v1alpha1.SQLite{
			Size: new(quantity("2Gi")), StorageClassName: new("fast"), RetainPolicy: v1alpha1.RetainClaim,
		},
		Backup:    &v1alpha1.Backup{Every: "12h", Keep: new(int32(3)), ClaimName: "backups"},
		Resources: resources,
	}
	spec.Replicas, spec.Suspend = new(int32(1)), new(false)
	spec.ImagePullPolicy = corev1.PullAlways
	spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	spec.UpdatePolicy, spec.Resources, spec.LogLevel = v1alpha1.UpdateManual, resources, "debug"
	spec.Scheduling.PriorityClassName, spec.Monitoring.PodMonitor = "chat", "Never"
	spec.NetworkPolicy = v1alpha1.NetworkPolicy{Enabled: new(true), Egress: []networkingv1.NetworkPolicyEgressRule{{}}}
	spec.Image = "rosey.example/rosey:own"
	spec.Telemetry = &v1alpha1.Telemetry{
		Endpoint: "https://collector:4317", Protocol: "grpc", SamplingRatio: "0.5", HeadersSecretRef: secret("headers"),
		TLSSecretRef: &v1alpha1.ObjectRef{Name: "ca"}, ResourceAttributes: map[string]v1alpha1.AttributeValue{"a.b": "c"},
	}
	spec.Web = &v1alpha1.Web{
		Enabled: new(true), Replicas: new(int32(2)), Public: new(true), People: v1alpha1.PeopleOff, BasePath: "/movienight",
		TokensSecretRef: &v1alpha1.ObjectRef{Name: "tokens"}, NATSCredentialsSecretRef: &v1alpha1.ObjectRef{Name: "web"},
		AllowFrom: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}},
		Resources: resources,
	}
	source := func(name string) []corev1.EnvFromSource {
		ref := corev1.LocalObjectReference{Name: name}
		return []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref}}}
	}
	spec.Plugins = []v1alpha1.Plugin{{
		Name: "weather", Image: "weather", Config: map[string]v1alpha1.PluginSetting{"city": "Paris"},
		NATSCredentialsSecretRef: &v1alpha1.ObjectRef{Name: "weather"}, EnvFrom: source("key"), Replicas: new(int32(3)),
		Resources: resources, Egress: []networkingv1.NetworkPolicyEgressRule{{}, {}}, Probes: v1alpha1.PluginProbesHTTP,
		PodMetadata: v1alpha1.PodMetadata{
			Labels:      map[string]v1alpha1.LabelValue{"team": "fun"},
			Annotations: map[string]v1alpha1.AnnotationValue{"note": "any"},
		},
		Grants: &v1alpha1.PluginGrants{
			Events: []v1alpha1.PluginEvent{"message"}, Say: true, Queue: true, State: []v1alpha1.PluginThing{"users"},
			Act: []v1alpha1.ActGrant{{Verb: "kick", Rank: new(int32(3))}},
		},
	}}
	cooldown := v1alpha1.CommandCooldown{UserSeconds: new(int32(3)), ChannelSeconds: new(int32(4))}
	spec.Commands = v1alpha1.Commands{
		Prefix: ".", Chat: new(true), PM: new(true), Cooldown: cooldown, Ignore: []v1alpha1.UserName{"OtherBot"},
		Overrides: []v1alpha1.CommandOverride{{
			Command: "seen", Disabled: true, Name: "where", Rank: new(int32(1)), Cooldown: cooldown,
			Allow: []v1alpha1.UserName{"alice"}, Deny: []v1alpha1.UserName{"bob"},
		}},
	}
	return bot
}

// backedUpBot returns a RoseyBot with a claim of its own for backups.
func backedUpBot() *v1alpha1.RoseyBot {
	bot := newBot("fun")
	claim := &v1alpha1.BackupClaim{Size: new(quantity("3Gi")), StorageClassName: new("slow")}
	bot.Spec.Database = &v1alpha1.Database{Backup: &v1alpha1.Backup{Claim: claim}}
	bot.Spec.Plugins = []v1alpha1.Plugin{{Name: "dice", Builtin: "dice"}}
	limits := corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: quantity("1")}}
	bot.Spec.PluginHost = v1alpha1.PluginHost{
		NATSCredentialsSecretRef: &v1alpha1.ObjectRef{Name: "host"}, EnvFrom: []corev1.EnvFromSource{{Prefix: "P_"}},
		Resources: limits, Egress: []networkingv1.NetworkPolicyEgressRule{{}},
	}
	return bot
}

// fullPostgresBot returns a RoseyBot that sets the fields that require PostgreSQL or several pods.
func fullPostgresBot() *v1alpha1.RoseyBot {
	bot := newBot("fun")
	bot.Spec.Mode, bot.Spec.Replicas = v1alpha1.ModeNATS, new(int32(3))
	bot.Spec.NATS = &v1alpha1.NATS{
		URL: "nats://n", CredentialsSecretRef: &v1alpha1.ObjectRef{Name: "c"}, TLSSecretRef: &v1alpha1.ObjectRef{Name: "t"},
		JetStream: &v1alpha1.JetStream{
			Mode: v1alpha1.JetStreamAlways, Replicas: new(int32(3)), MaxAge: "24h", MaxBytes: new(quantity("1Gi")),
			MaxMessageBytes: new(quantity("1Mi")), Provisioning: v1alpha1.ProvisioningManual,
		},
	}
	bot.Spec.Database = &v1alpha1.Database{
		Postgres: &v1alpha1.Postgres{URLSecretRef: v1alpha1.SecretKeyRef{Name: "pg", Key: "url"}},
		Replicas: new(int32(4)), DirectFallback: new(true), NATSCredentialsSecretRef: &v1alpha1.ObjectRef{Name: "dc"},
		Autoscaling: &v1alpha1.Autoscaling{
			MinReplicas: new(int32(2)), MaxReplicas: 8, TargetCPUUtilization: new(int32(70)),
		},
		Retention: v1alpha1.Retention{Chat: "forever", UserCounts: "2h", Outbound: "3h", Media: "5h", People: "4h"},
		Limits: v1alpha1.Limits{
			MessageBytes: new(int64(1 << 17)), TextBytes: new(int64(2048)), NameBytes: new(int64(64)),
			ChannelRows: new(int64(1 << 20)), ChannelBytes: new(int64(1 << 30)), People: new(int64(2000)),
			OutboundWaiting: new(int64(50)), KVKeys: new(int64(50)), KVBytes: new(int64(1 << 20)),
			KVPlugins: new(int64(5)), KVChannelBytes: new(int64(1 << 22)), DeadLetters: new(int64(500)),
			DeadLetterBytes: new(int64(1 << 21)),
		},
	}
	return bot
}

// sharingBot returns a RoseyBot that uses the database service of another one.
func sharingBot() *v1alpha1.RoseyBot {
	bot := newBot("fun")
	bot.Spec.NATS = nil
	bot.Spec.Database = &v1alpha1.Database{SharedFrom: &v1alpha1.ObjectRef{Name: "owner"}}
	return bot
}

// Every field of the spec has an effect: without it or with another value, an object or the status differs.
func TestEveryFieldHasAnEffect(t *testing.T) {
	paths := fieldPaths(reflect.TypeFor[v1alpha1.RoseyBotSpec](), nil)
	for _, path := range paths {
		isSet, matters := false, false
		for _, start := range []func() *v1alpha1.RoseyBot{fullBot, backedUpBot, fullPostgresBot, sharingBot} {
			bot := start()
			field := fieldAt(bot, path)
			if !field.IsValid() || field.IsZero() {
				continue
			}
			isSet = true
			changeValue(field)
			matters = matters || resultOf(t, bot) != resultOf(t, start())
		}
		if name := strings.Join(path, "."); !isSet {
			t.Errorf("no RoseyBot of this test sets %s", name)
		} else if !matters {
			t.Errorf("%s changes neither an object nor the status", name)
		}
	}
	for _, want := range [][]string{
		{"Suspend"}, {"Database", "SQLite", "Size"}, {"Account", "PasswordSecretRef", "Key"}, {"NetworkPolicy", "Egress"},
		{"NATS", "JetStream"}, {"NATS", "JetStream", "MaxBytes"}, {"Database", "Autoscaling", "MaxReplicas"},
		{"Web", "TokensSecretRef", "Name"}, {"Plugins", "0", "Builtin"}, {"Plugins", "0", "Grants", "Act", "0", "Rank"},
	} {
		if !slices.ContainsFunc(paths, func(path []string) bool { return slices.Equal(path, want) }) {
			t.Errorf("%v was not tested, only %v", want, paths)
		}
	}
}

// fieldPaths returns the paths of the leaf fields of a type of this API, and of its optional structs and lists. Of a
// list it has the first element.
func fieldPaths(kind reflect.Type, path []string) (paths [][]string) {
	if kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct && isOfAPI(kind.Elem()) {
		return append(fieldPaths(kind.Elem(), append(slices.Clone(path), "0")), path)
	}
	optional := kind.Kind() == reflect.Pointer
	if optional {
		kind = kind.Elem()
	}
	ofAPI := kind.Kind() == reflect.Struct && isOfAPI(kind)
	if optional || !ofAPI {
		paths = append(paths, path)
	}
	if ofAPI {
		for field := range kind.Fields() {
			paths = append(paths, fieldPaths(field.Type, append(slices.Clone(path), field.Name))...)
		}
	}
	return paths
}

func isOfAPI(kind reflect.Type) bool {
	return kind.PkgPath() == reflect.TypeFor[v1alpha1.RoseyBotSpec]().PkgPath()
}

// fieldAt returns the field of a path. It returns the zero Value below an optional struct that is not set.
func fieldAt(bot *v1alpha1.RoseyBot, path []string) reflect.Value {
	value := reflect.ValueOf(&bot.Spec)
	for _, name := range path {
		if value = reflect.Indirect(value); !value.IsValid() {
			return value
		}
		if value.Kind() != reflect.Slice {
			value = value.FieldByName(name)
			continue
		}
		if value.Len() == 0 {
			return reflect.Value{}
		}
		value = value.Index(0)
	}
	return value
}

// changeValue sets a field to another value with another meaning.
func changeValue(value reflect.Value) {
	switch now := value.Interface().(type) {
	case *bool:
		value.Set(reflect.ValueOf(new(!*now)))
	case *int32:
		value.Set(reflect.ValueOf(new(1 - *now)))
	case v1alpha1.Mode:
		value.SetString(string(v1alpha1.ModeDirect))
	case v1alpha1.UpdatePolicy:
		value.SetString(string(v1alpha1.UpdateAutomatic))
	case v1alpha1.RetainPolicy:
		value.SetString(string(v1alpha1.DeleteClaim))
	default:
		if value.Kind() == reflect.String && value.Type() != reflect.TypeFor[corev1.PullPolicy]() {
			value.SetString(value.String() + "x")
			return
		}
		value.SetZero()
	}
}

// resultOf returns everything that the operator computes from a RoseyBot: its objects and status, when it is new and
// after an upgrade of the operator.
func resultOf(t *testing.T, bot *v1alpha1.RoseyBot) string {
	t.Helper()
	var all []any
	owner := newBot("fun")
	owner.Name = manifests.SharedFrom(bot)
	seen := newObserved()
	seen.Owner = owner
	for _, params := range []manifests.Params{{Image: "a", OperatorNamespace: "a"}, {Image: "b"}} {
		set, err := manifests.Build(bot, params, seen.Observed)
		if err != nil {
			t.Fatal(err)
		}
		for _, desired := range set {
			if deployment, ok := desired.Object.(*appsv1.Deployment); ok && len(seen.Objects) > 0 {
				deployment.Spec.Template.Spec.Hostname = "newer"
			}
		}
		clock := func() time.Time { return time.Time{} }
		operator := &Reconciler{Params: params, updates: newUpdates(DefaultAutomaticUpdates), now: clock}
		decided := operator.pin(bot, set, seen)
		set = decided.desired
		in := statusInput{bot: bot, observed: seen, applied: applied{updates: decided.updates}}
		in.update, _ = operator.updates.current(bot, time.Time{})
		all = append(all, set, computeStatus(in, time.Time{}))
		for _, desired := range set {
			seen.Objects[manifests.KeyOf(desired.Object)] = desired.Object
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
