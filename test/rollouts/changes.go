package rollouts

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
)

const (
	server, channel = "https://cytu.be", "movienight"
	// directLabel marks pods of bots that open a PostgreSQL database themselves. The kubelet cannot tell by their volumes.
	directLabel = "direct"
)

// change is one edit of a spec, as a user makes it.
type change struct {
	name string
	edit func(*v1alpha1.RoseyBotSpec)
}

// changes are what users change. Each makes a valid spec from any other one.
var changes = []change{
	{"0 bots", replicas(0)},
	{"1 bot", replicas(1)},
	{"2 bots", replicas(2)},
	{"3 bots", replicas(3)},
	{"another image", func(spec *v1alpha1.RoseyBotSpec) { spec.Image = "rosey.example/rosey:other" }},
	{"an image that does not exist", func(spec *v1alpha1.RoseyBotSpec) { spec.Image = badImage }},
	{"the operator's image", func(spec *v1alpha1.RoseyBotSpec) { spec.Image = "" }},
	{"mode Direct", setDirect},
	{"mode NATS", setNATS},
	{"PostgreSQL", setPostgres},
	{"SQLite", func(spec *v1alpha1.RoseyBotSpec) { spec.Database = nil }},
	{"suspend", func(spec *v1alpha1.RoseyBotSpec) { spec.Suspend = new(true) }},
	{"resume", func(spec *v1alpha1.RoseyBotSpec) { spec.Suspend = nil }},
	{"the other update policy", func(spec *v1alpha1.RoseyBotSpec) {
		if spec.UpdatePolicy == v1alpha1.UpdateAutomatic {
			spec.UpdatePolicy = v1alpha1.UpdateManual
			return
		}
		spec.UpdatePolicy = v1alpha1.UpdateAutomatic
	}},
	{"autoscaling", func(spec *v1alpha1.RoseyBotSpec) {
		setNATS(spec)
		setPostgres(spec)
		spec.Database.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: new(int32(2)), MaxReplicas: 4}
	}},
	{"no autoscaling", func(spec *v1alpha1.RoseyBotSpec) {
		if spec.Database != nil {
			spec.Database.Autoscaling = nil
		}
	}},
	{"another password", password("other")},
	{"a wrong password", password(wrongPassword)},
	absentBackupClaim,
	{"resources that no node has", resources("1000")},
	{"modest resources", resources("10m")},
}

// absentBackupClaim has backups written to a claim that does not exist.
var absentBackupClaim = change{"a backup claim that does not exist", func(spec *v1alpha1.RoseyBotSpec) {
	spec.Database = &v1alpha1.Database{SQLite: &v1alpha1.SQLite{}, Backup: &v1alpha1.Backup{ClaimName: absentClaim}}
}}

// bases are the specs that are changed.
var bases = []change{
	{"a bot with SQLite", replicas(1)},
	{"two bots with SQLite", replicas(2)},
	{"two bots and two services with PostgreSQL", func(spec *v1alpha1.RoseyBotSpec) {
		replicas(2)(spec)
		setPostgres(spec)
		spec.Database.Replicas = new(int32(2))
	}},
	{"a bot in mode Direct", setDirect},
}

func replicas(count int32) func(*v1alpha1.RoseyBotSpec) {
	return func(spec *v1alpha1.RoseyBotSpec) {
		if count > 1 {
			setNATS(spec)
		}
		spec.Replicas = new(count)
	}
}

func password(secret string) func(*v1alpha1.RoseyBotSpec) {
	return func(spec *v1alpha1.RoseyBotSpec) {
		spec.Account.PasswordSecretRef = &v1alpha1.SecretKeyRef{Name: v1alpha1.ObjectName(secret)}
	}
}

func resources(cpu string) func(*v1alpha1.RoseyBotSpec) {
	return func(spec *v1alpha1.RoseyBotSpec) {
		spec.Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
		}
	}
}

func setDirect(spec *v1alpha1.RoseyBotSpec) {
	spec.Mode, spec.NATS = v1alpha1.ModeDirect, nil
	spec.Replicas = new(min(ptr.Deref(spec.Replicas, 1), 1))
	if spec.Database != nil {
		spec.Database = &v1alpha1.Database{
			Postgres: spec.Database.Postgres, SQLite: spec.Database.SQLite, Backup: spec.Database.Backup,
		}
	}
	spec.PodMetadata.Labels = map[string]v1alpha1.LabelValue{directLabel: "yes"}
}

func setNATS(spec *v1alpha1.RoseyBotSpec) {
	spec.Mode, spec.NATS = v1alpha1.ModeNATS, &v1alpha1.NATS{URL: "nats://nats.example:4222"}
	spec.PodMetadata.Labels = nil
}

func setPostgres(spec *v1alpha1.RoseyBotSpec) {
	if spec.Database == nil || spec.Database.Postgres == nil {
		spec.Database = &v1alpha1.Database{Postgres: &v1alpha1.Postgres{URLSecretRef: v1alpha1.SecretKeyRef{Name: "url"}}}
	}
}

// newBot returns a RoseyBot with the spec of a base.
func newBot(namespace string, base change) *v1alpha1.RoseyBot {
	bot := &v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: "movienight", Namespace: namespace},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: channel},
			Account: &v1alpha1.Account{Username: "Rosey"},
			NATS:    &v1alpha1.NATS{URL: "nats://nats.example:4222"},
		},
	}
	base.edit(&bot.Spec)
	return bot
}

// faults returns, for each reason why some pod that a spec asks for cannot work, what the message has to name.
func faults(spec *v1alpha1.RoseyBotSpec) (names []string) {
	if ptr.Deref(spec.Suspend, false) {
		return nil
	}
	bots := ptr.Deref(spec.Replicas, 1) > 0
	usesDatabase := bots || spec.Mode != v1alpha1.ModeDirect // with its own pods, or those of the bot
	password := ptr.Deref(spec.Account.PasswordSecretRef, v1alpha1.SecretKeyRef{}).Name
	for name, isWrong := range map[string]bool{
		badImage:    usesDatabase && spec.Image == badImage,
		absentClaim: usesDatabase && spec.Database != nil && spec.Database.Backup != nil,
		"password":  bots && password == wrongPassword,
		noCPU:       bots && spec.Resources.Requests.Cpu().Cmp(mostCPU) > 0,
	} {
		if isWrong {
			names = append(names, name)
		}
	}
	return names
}
