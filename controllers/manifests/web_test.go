package manifests_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// Who may read the pages, such as an ingress controller, must not read what the process reports of itself.
func TestServiceOfTheWebPageHasThePagesAlone(t *testing.T) {
	set := build(t, readBot(t, "testdata/web.yaml"))
	ports := find[*appsv1.Deployment](set, manifests.Web).Spec.Template.Spec.Containers[0].Ports
	pages := ports[slices.IndexFunc(ports, func(port corev1.ContainerPort) bool {
		return port.ContainerPort == status.PagesPort
	})].Name
	service := find[*corev1.Service](set, manifests.Web)
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].TargetPort.String() != pages {
		t.Errorf("ports of the Service are %v", service.Spec.Ports)
	}
	rules := find[*networkingv1.NetworkPolicy](set, manifests.Web).Spec.Ingress
	for i, rule := range rules {
		for _, port := range rule.Ports {
			if isPages := port.Port.String() == pages; isPages != (i == 1) || len(rules) != 2 {
				t.Errorf("rule %d of %d admits %v to port %s", i+1, len(rules), rule.From, port.Port)
			}
		}
	}
}

// A pod of the version before is not ready while NATS is away, and its pages say so: nobody would read them if the
// Service led to ready pods alone before the pod is replaced.
func TestServiceLeadsToWebPodsOfTheVersionBeforeThatAreNotReady(t *testing.T) {
	bot := readBot(t, "testdata/web.yaml")
	old := manifests.FindUpdate(bot, build(t, bot), manifests.Observed{}).Built
	workload := find[*appsv1.Deployment](old, manifests.Web)
	workload.Spec.Template.Spec.Containers[0].Lifecycle = nil
	workload.Annotations["rosey.dev/template-hash"] = manifests.Hash(workload.Spec.Template)
	observed := observe(old)
	publishes := func() bool {
		return find[*corev1.Service](upgraded(t, bot, observed), manifests.Web).Spec.PublishNotReadyAddresses
	}
	if !publishes() {
		t.Error("the Service of old pods leads to ready ones alone")
	}
	bot.Spec.Web.Public = new(false)
	bot.Generation++
	if publishes() {
		t.Error("the Service of new pods leads to those that are not ready, so that a rolling update drops requests")
	}
}

// A user of its own has permissions of its own only if the others' Secrets are not in its pod.
func TestWebPageWithItsOwnUserHasNoSecretOfTheBot(t *testing.T) {
	bot := readBot(t, "testdata/web.yaml")
	keys := func() map[string][]string {
		found := map[string][]string{}
		for _, volume := range find[*appsv1.Deployment](build(t, bot), manifests.Web).Spec.Template.Spec.Volumes {
			if volume.Secret != nil {
				found[volume.Secret.SecretName] = append(found[volume.Secret.SecretName], "all")
			}
			if volume.Projected == nil {
				continue
			}
			for _, source := range volume.Projected.Sources {
				for _, item := range source.Secret.Items {
					found[source.Secret.Name] = append(found[source.Secret.Name], item.Key)
				}
			}
		}
		return found
	}
	got := keys()
	if len(got["rosey-nats"])+len(got["rosey-account"]) > 0 ||
		!slices.Equal(got["rosey-nats-tls"], []string{config.TLSCAFile}) ||
		!slices.Equal(got["rosey-nats-web"], []string{"all", config.TLSCertFile, config.TLSKeyFile}) {
		t.Errorf("Secrets of the web page: %v", got)
	}
	bot.Spec.Web.NATSCredentialsSecretRef = nil
	if got := keys(); !slices.Equal(got["rosey-nats-tls"], []string{"all"}) || len(got["rosey-nats"]) != 1 {
		t.Errorf("Secrets of a web page that logs in as the bot does: %v", got)
	}
	bot.Spec.NATS.TLSSecretRef, bot.Spec.Web.NATSCredentialsSecretRef = nil, &v1alpha1.ObjectRef{Name: "rosey-nats-web"}
	if got := keys(); !slices.Equal(got["rosey-nats-web"], []string{"all"}) {
		t.Errorf("Secrets of a web page without TLS: %v", got)
	}
}

// A web page that is asked for after an upgrade of the operator, or that something kept from being created until then,
// must not update the bot under Manual. It runs what the bot runs, and is a part of the pending update.
func TestWebPageThatIsCreatedLaterRunsWhatTheBotRuns(t *testing.T) {
	for name, asksLater := range map[string]bool{"asked for later": true, "kept from being created": false} {
		t.Run(name, func(t *testing.T) {
			bot := readBot(t, "testdata/web.yaml")
			web := bot.Spec.Web
			if asksLater {
				bot.Spec.Web = nil
			}
			observed := observe(pin(bot, build(t, bot), manifests.Observed{}))
			page := manifests.Key{Kind: "Deployment", Name: "movienight-web"}
			delete(observed.Objects, page)
			observed = observe(upgraded(t, bot, observed))
			delete(observed.Objects, page)
			if asksLater {
				bot.Spec.Web = web
				bot.Generation++
			}
			var update manifests.Update
			for range 3 {
				update = findUpgrade(t, bot, observed)
				for _, component := range manifests.Components(bot) {
					template := find[*appsv1.Deployment](update.Pinned, component).Spec.Template
					if got := template.Spec.Containers[0].Image; got != testParams.Image {
						t.Errorf("the %s runs %s", component, got)
					}
				}
				observed = observe(update.Pinned)
			}
			want := "Deployment movienight-web with image " + newerParams.Image
			if len(update.Changes) != 3 || !slices.Contains(update.Changes, want) {
				t.Errorf("changes are %q", update.Changes)
			}
		})
	}
}
