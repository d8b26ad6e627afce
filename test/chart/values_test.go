package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/test/apiservertest"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func deployment(t *testing.T, all objects) *appsv1.Deployment {
	t.Helper()
	found := &appsv1.Deployment{}
	all.into(t, "Deployment rosey-system/rosey-operator", found)
	return found
}

func arguments(t *testing.T, all objects) []string {
	t.Helper()
	return deployment(t, all).Spec.Template.Spec.Containers[0].Args
}

// Each value adds or removes these objects and no others.
func TestObjectsByValues(t *testing.T) {
	always := []string{
		"ClusterRole /rosey-system:rosey-operator",
		"ClusterRole /rosey-system:rosey-operator:edit",
		"ClusterRole /rosey-system:rosey-operator:view",
		"ClusterRoleBinding /rosey-system:rosey-operator",
		"CustomResourceDefinition /roseybots.rosey.dev",
		"Deployment rosey-system/rosey-operator",
		"NetworkPolicy rosey-system/rosey-operator",
		"Role rosey-system/rosey-operator-leader-election",
		"RoleBinding rosey-system/rosey-operator-leader-election",
		"ServiceAccount rosey-system/rosey-operator",
	}
	podMonitors := []string{"PodMonitor rosey-system/rosey-operator", "PodMonitor rosey-system/rosey-operator-bots"}
	for name, test := range map[string]struct {
		arguments     []string
		without, with []string
	}{
		"defaults":                    {},
		"replicas do not add objects": {arguments: []string{"--set", "replicas=2"}},
		"no network policy":           {[]string{"--set", "networkPolicy.enabled=false"}, always[6:7], nil},
		"no CRD":                      {[]string{"--set", "crds.install=false"}, always[4:5], nil},
		"no user roles":               {[]string{"--set", "userRoles.install=false"}, always[1:3], nil},
		"PodMonitors if possible":     {[]string{monitoringAPI}, nil, podMonitors},
		"never PodMonitors": {
			arguments: []string{monitoringAPI, "--set", "monitoring.podMonitor=Never"},
		},
		"always PodMonitors": {[]string{"--set", "monitoring.podMonitor=Always"}, nil, podMonitors},
		"alerts": {
			[]string{"--set", "monitoring.rules.enabled=true"}, nil, []string{"PrometheusRule rosey-system/rosey-operator"},
		},
		"a policy for RoseyBots": {
			[]string{"--set", "admissionPolicy.enabled=true"}, nil,
			[]string{
				"ValidatingAdmissionPolicy /rosey-system.rosey-operator",
				"ValidatingAdmissionPolicyBinding /rosey-system.rosey-operator",
			},
		},
		"dashboards": {
			[]string{"--set", "monitoring.dashboards.enabled=true"}, nil,
			[]string{"ConfigMap rosey-system/rosey-operator-dashboards"},
		},
		"some namespaces": {
			[]string{"--set", "watchNamespaces={a}"},
			[]string{always[0], always[3]}, []string{"Role a/rosey-operator", "RoleBinding a/rosey-operator"},
		},
		"no cluster-scoped objects": {
			[]string{"--set", "watchNamespaces={a},crds.install=false,userRoles.install=false"},
			always[:5], []string{"Role a/rosey-operator", "RoleBinding a/rosey-operator"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := slices.Clone(test.with)
			for _, object := range always {
				if !slices.Contains(test.without, object) {
					want = append(want, object)
				}
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, render(t, test.arguments...).names()); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestImages(t *testing.T) {
	for name, test := range map[string]struct{ values, operator, runtime string }{
		"names alone": {
			"image.repository=r.example:5000/o,runtime.image=r.example:5000/rosey",
			"r.example:5000/o:0.1.0", "r.example:5000/rosey:0.1.0",
		},
		"tags": {
			"image.repository=r.example:5000/o,image.tag=v1,runtime.image=r.example/rosey:v2",
			"r.example:5000/o:v1", "r.example/rosey:v2",
		},
		"tags of digits, as short names of commits can be": {
			"image.tag=1526511,runtime.image=rosey:1526511", "rosey.example/operator:1526511", "rosey:1526511",
		},
		"digests": {
			"image.tag=v1,image.digest=" + digest + ",runtime.image=r.example/rosey@" + digest,
			"rosey.example/operator@" + digest, "r.example/rosey@" + digest,
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := render(t, "--set-string", test.values)
			if got := deployment(t, all).Spec.Template.Spec.Containers[0].Image; got != test.operator {
				t.Errorf("the operator's image is %s, want %s", got, test.operator)
			}
			if want := "--runtime-image=" + test.runtime; !slices.Contains(arguments(t, all), want) {
				t.Errorf("arguments are %v, want %s", arguments(t, all), want)
			}
		})
	}
}

// Whoever names no images learns which values are missing, and not from a pod that cannot pull.
func TestNoImageHasADefault(t *testing.T) {
	needTools(t)
	for values, missing := range map[string][]string{
		"image.repository=,runtime.image=": {"image.repository: expected ", "runtime.image: expected "},
		"image.repository=":                {"image.repository: expected "},
		"runtime.image=":                   {"runtime.image: expected "},
	} {
		for _, more := range []string{"replicas=1", "admissionPolicy.enabled=true"} {
			_, err := apiservertest.RenderChart(t.Context(), "--set-string", values, "--set", more)
			if err == nil {
				t.Errorf("%s,%s: rendered", values, more)
				continue
			}
			for _, name := range []string{"image.repository: expected ", "runtime.image: expected "} {
				if got, want := strings.Count(err.Error(), name), slices.Contains(missing, name); (got == 1) != want {
					t.Errorf("%s,%s: %q is %d times in: %v", values, more, name, got, err)
				}
			}
		}
	}
}

// Two operators must never be active at once, so leader election cannot be disabled.
func TestSeveralReplicasElectALeader(t *testing.T) {
	all := render(t, "--set", "replicas=2")
	if got := ptr.Deref(deployment(t, all).Spec.Replicas, 0); got != 2 {
		t.Errorf("replicas: %d, want 2", got)
	}
	if !slices.Contains(arguments(t, all), "--leader-elect") {
		t.Errorf("arguments are %v, want --leader-elect", arguments(t, all))
	}
}

func TestPodIsRestricted(t *testing.T) {
	pod := deployment(t, render(t)).Spec.Template.Spec
	want := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if diff := cmp.Diff(want, pod.Containers[0].SecurityContext); diff != "" {
		t.Errorf("container (-want +got):\n%s", diff)
	}
	if !ptr.Deref(pod.SecurityContext.RunAsNonRoot, false) || pod.SecurityContext.SeccompProfile == nil {
		t.Errorf("pod: %+v", pod.SecurityContext)
	}
}

func TestPodLabelsAreAddedToTheSelectors(t *testing.T) {
	labels := deployment(t, render(t, "--set", "podLabels.team=films")).Spec.Template.Labels
	if labels["team"] != "films" || labels["app.kubernetes.io/name"] != "rosey-operator" {
		t.Errorf("labels are %v", labels)
	}
}

// The NetworkPolicies of bots select the operator by its labels.
func TestNetworkPoliciesOfBotsAdmitTheOperator(t *testing.T) {
	labels := deployment(t, render(t)).Spec.Template.Labels
	bot := &v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: "fun", Namespace: "films"},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: "fun"}, NATS: &v1alpha1.NATS{URL: "nats://nats.nats.svc:4222"},
		},
	}
	set, err := manifests.Build(
		bot, manifests.Params{OperatorNamespace: apiservertest.Namespace, Image: "rosey:v1"}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	policies := 0
	for _, desired := range set {
		policy, isPolicy := desired.Object.(*networkingv1.NetworkPolicy)
		if !isPolicy {
			continue
		}
		policies++
		for key, value := range policy.Spec.Ingress[0].From[0].PodSelector.MatchLabels {
			if labels[key] != value {
				t.Errorf("label %s of the operator is %q, want %q", key, labels[key], value)
			}
		}
	}
	if policies != 2 {
		t.Errorf("%d NetworkPolicies, want one for the bot and one for the database service", policies)
	}
}

// One value names the namespaces that can scrape the metrics of the operator and of the bots.
func TestOneValueSaysWhoMayScrapeMetrics(t *testing.T) {
	for value, want := range map[string]map[string]string{
		"":                         {"metrics": "enabled"},
		"example.org/team=watches": {"example.org/team": "watches"},
		"enabled=true":             {"enabled": "true"},
	} {
		var set []string
		if value != "" {
			set = []string{"--set-string", `networkPolicy.metricsFrom=` + value}
		}
		all := render(t, set...)
		policy := &networkingv1.NetworkPolicy{}
		all.into(t, "NetworkPolicy rosey-system/rosey-operator", policy)
		if diff := cmp.Diff(want, policy.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels); diff != "" {
			t.Errorf("%q: labels (-want +got):\n%s", value, diff)
		}
		if value == "" {
			value = "metrics=enabled"
		}
		if flag := "--metrics-from=" + value; !slices.Contains(arguments(t, all), flag) {
			t.Errorf("arguments are %v, want %s", arguments(t, all), flag)
		}
	}
}

func TestConnectionsOfCyTubeServersReachTheOperator(t *testing.T) {
	all := render(t, "--set", "cytube.connections=20",
		"--set-json", `cytube.servers={"https://cytube.example:8443":1000000}`)
	for _, flag := range []string{
		"--cytube-connections=20", "--cytube-connections=https://cytube.example:8443=1000000",
	} {
		if !slices.Contains(arguments(t, all), flag) {
			t.Errorf("arguments are %v, want %s", arguments(t, all), flag)
		}
	}
	if !slices.Contains(arguments(t, render(t)), "--cytube-connections=10") {
		t.Error("by default, a server allows ten connections")
	}
}

func TestAutomaticUpdatesAreLimited(t *testing.T) {
	for set, want := range map[string][]string{
		"replicas=1": {"--automatic-updates-max-concurrent=1", "--automatic-updates-deadline=10m"},
		"automaticUpdates.maxConcurrent=3,automaticUpdates.deadline=1h30m": {
			"--automatic-updates-max-concurrent=3", "--automatic-updates-deadline=1h30m",
		},
	} {
		arguments := arguments(t, render(t, "--set", set))
		for _, flag := range want {
			if !slices.Contains(arguments, flag) {
				t.Errorf("%s: arguments are %v, want %s", set, arguments, flag)
			}
		}
	}
}
