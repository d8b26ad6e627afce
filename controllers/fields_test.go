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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// everything is a RoseyBot with every field of its spec set.
func everything() *v1alpha1.RoseyBot {
	bot := withPodSettings(newBot("fun"))
	secret := func(name string) *v1alpha1.SecretKeyRef { return &v1alpha1.SecretKeyRef{Name: name, Key: "key"} }
	resources := corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: quantity("1")}}
	spec := &bot.Spec
	spec.Channel = v1alpha1.Channel{Server: "https://cytu.be", Name: "movienight", PasswordSecretRef: secret("channel")}
	spec.Account.PasswordSecretRef = secret("account")
	spec.NATS.SubjectPrefix = "rosey"
	spec.Database = &v1alpha1.Database{
		SQLite: &v1alpha1.SQLite{
			Size: new(quantity("2Gi")), StorageClassName: new("fast"), RetainPolicy: v1alpha1.RetainClaim,
		},
		Resources: resources,
	}
	spec.Replicas, spec.Suspend = new(int32(1)), new(false)
	spec.ImagePullPolicy = corev1.PullAlways
	spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	spec.UpdatePolicy, spec.Resources, spec.LogLevel = v1alpha1.UpdateManual, resources, "debug"
	spec.Scheduling.PriorityClassName = "chat"
	spec.NetworkPolicy = v1alpha1.NetworkPolicy{Enabled: new(true), Egress: []networkingv1.NetworkPolicyEgressRule{{}}}
	spec.Image = "rosey.example/rosey:own"
	return bot
}

// Every field of the spec has an effect: without it or with another value, an object or the status is another one.
func TestEveryFieldChangesSomething(t *testing.T) {
	before := effect(t, everything())
	var paths []string
	walk(everything, nil, func(path []string, change func(*v1alpha1.RoseyBot)) {
		bot, name := everything(), strings.Join(path, ".")
		change(bot)
		paths = append(paths, name)
		if reflect.DeepEqual(bot, everything()) {
			t.Errorf("%s is not set in everything()", name)
		} else if effect(t, bot) == before {
			t.Errorf("%s changes neither an object nor the status", name)
		}
	})
	for _, want := range []string{
		"Suspend", "Database.SQLite.Size", "Account.PasswordSecretRef.Key", "NetworkPolicy.Egress", "UpdatePolicy",
	} {
		if !slices.Contains(paths, want) {
			t.Errorf("%s was not tried, only %v", want, paths)
		}
	}
}

// walk calls try for every field below a path, and for each of our own structs that can be absent.
func walk(start func() *v1alpha1.RoseyBot, path []string, try func([]string, func(*v1alpha1.RoseyBot))) {
	at := func(bot *v1alpha1.RoseyBot) reflect.Value {
		value := reflect.ValueOf(&bot.Spec).Elem()
		for _, name := range path {
			value = reflect.Indirect(value).FieldByName(name)
		}
		return value
	}
	value := at(start())
	kind := value.Type()
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind.Kind() != reflect.Struct || kind.PkgPath() != reflect.TypeFor[v1alpha1.RoseyBotSpec]().PkgPath() {
		try(path, func(bot *v1alpha1.RoseyBot) { alter(at(bot)) })
		return
	}
	if value.Kind() == reflect.Pointer {
		try(path, func(bot *v1alpha1.RoseyBot) { at(bot).SetZero() })
	}
	for field := range kind.Fields() {
		walk(start, append(slices.Clone(path), field.Name), try)
	}
}

// alter makes a field another one that means something else.
func alter(value reflect.Value) {
	switch now := value.Interface().(type) {
	case *bool:
		value.Set(reflect.ValueOf(new(!*now)))
	case *int32:
		value.Set(reflect.ValueOf(new(1 - *now)))
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

// effect is all that follows from a RoseyBot: its objects and status, new and after the operator got newer.
func effect(t *testing.T, bot *v1alpha1.RoseyBot) string {
	t.Helper()
	var all []any
	seen := observed{objects: map[objectKey]client.Object{}}
	for _, params := range []manifests.Params{{Image: "a", OperatorNamespace: "a"}, {Image: "b"}} {
		set, err := manifests.Build(bot, params)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range set.All() {
			if deployment, ok := object.(*appsv1.Deployment); ok && len(seen.objects) > 0 {
				deployment.Spec.Template.Spec.Hostname = "newer"
			}
		}
		waiting, err := hold(bot, seen, set)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, set, computeStatus(situation{bot: bot, seen: seen, update: waiting}, time.Time{}))
		for _, object := range set.All() {
			seen.objects[keyOf(object)] = object
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
