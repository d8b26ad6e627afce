package manifests_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/randfill"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

// legal makes a text one that starts and ends with a letter or digit, of the length that a RoseyBot may have.
func legal(text, letters string, longest int) string {
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

// anyBot turns bytes into a RoseyBot that the CRD accepts as far as names, lengths and numbers go.
func anyBot(data []byte) *v1alpha1.RoseyBot {
	bot := &v1alpha1.RoseyBot{}
	text := func(fill randfill.Continue) string { return fill.String(60) }
	randfill.NewFromGoFuzz(data).NilChance(0.3).NumElements(0, 3).MaxDepth(12).Funcs(
		func(value *resource.Quantity, fill randfill.Continue) {
			*value = *resource.NewQuantity(fill.Int63n(1<<40)+1, resource.BinarySI)
		},
		func(value *intstr.IntOrString, fill randfill.Continue) { *value = intstr.FromInt32(fill.Int31()) },
		func(value *string, fill randfill.Continue) { *value = legal(text(fill), lower, 40) },
		func(value *v1alpha1.LabelValue, fill randfill.Continue) {
			*value = v1alpha1.LabelValue(legal(text(fill), any64, 63))
		},
		func(value *v1alpha1.Channel, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Server, value.Name = "https://"+legal(text(fill), lower, 60), legal(text(fill), any64, 30)
		},
		func(value *v1alpha1.Account, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.Username = legal(text(fill), any64, 20)
		},
		func(value *v1alpha1.NATS, fill randfill.Continue) {
			value.URL = "nats://" + legal(text(fill), lower, 60)
			if fill.Bool() {
				value.SubjectPrefix = legal(text(fill), any64, 64)
			}
		},
		func(value *v1alpha1.RoseyBotSpec, fill randfill.Continue) {
			fill.FillNoCustom(value)
			value.LogLevel = []string{"debug", "info", "warn", "error"}[fill.Intn(4)]
			value.Replicas = new(fill.Int31n(2))
		},
		func(value *v1alpha1.RoseyBot, fill randfill.Continue) {
			value.Name, value.Namespace = legal(text(fill), lower, 50), legal(text(fill), lower, 63)
			fill.Fill(&value.Spec)
		},
	).Fill(bot)
	return bot
}

// FuzzBuild: any RoseyBot makes objects without a panic, twice the same, with names and labels that Kubernetes takes
// and configuration that the processes take.
func FuzzBuild(f *testing.F) {
	for seed := range 300 {
		data := make([]byte, 0, 2000)
		for i := range cap(data) {
			data = append(data, byte(seed*31+i*(seed+7)+i*i*seed))
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bot := anyBot(data)
		set := build(t, bot)
		if diff := cmp.Diff(lines(render(t, set)), lines(render(t, build(t, bot.DeepCopy())))); diff != "" {
			t.Fatalf("two builds differ:\n%s", diff)
		}
		for _, object := range set.All() {
			if problems := validation.IsDNS1035Label(object.GetName()); len(problems) > 0 {
				t.Errorf("%T %q: %v", object, object.GetName(), problems)
			}
			checkLabels(t, object.GetLabels())
			if deployment, ok := object.(*appsv1.Deployment); ok {
				checkPod(t, deployment.Spec.Template)
			}
		}
		files := configMapOf(t, set).Data
		if _, err := config.Parse([]byte(files[config.BotFile]), config.BotComponent); err != nil {
			t.Errorf("bot: %v", err)
		}
		if _, err := config.Parse([]byte(files[config.DatabaseFile]), config.DatabaseComponent); err != nil {
			t.Errorf("database service: %v", err)
		}
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
		t.Errorf("labels %v hide the object from the operator", labels)
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
