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

// What keeps a web page that is asked for from being created must not update the bot under Manual when the operator is
// upgraded. Once it can be created, it runs what the bot runs, and is a part of the pending update. Asking for it later
// is a change of the spec, which ends the wait.
func TestWebPageThatIsCreatedLaterRunsWhatTheBotRuns(t *testing.T) {
	bot := readBot(t, "testdata/web.yaml")
	old := manifests.FindUpdate(bot, build(t, bot), manifests.Observed{})
	observed := observe(old.Built)
	page := manifests.Key{Kind: "Deployment", Name: "movienight-web"}
	delete(observed.Objects, page)
	update := func() manifests.Update {
		built, err := manifests.Build(bot, manifests.Params{Image: "rosey.example/rosey:newer"}, observed)
		if err != nil {
			t.Fatal(err)
		}
		return manifests.FindUpdate(bot, built, observed)
	}
	for range 2 {
		now := update()
		if len(now.Changes) < 2 {
			t.Errorf("changes are %q", now.Changes)
		}
		for _, component := range manifests.Components(bot) {
			template := find[*appsv1.Deployment](now.Pinned, component).Spec.Template
			if got := template.Spec.Containers[0].Image; got != testParams.Image {
				t.Errorf("the %s runs %s", component, got)
			}
		}
		observed.Objects[page] = find[*appsv1.Deployment](now.Pinned, manifests.Web)
	}
	const want = "Deployment movienight-web with image rosey.example/rosey:newer"
	if changes := update().Changes; !slices.Contains(changes, want) {
		t.Errorf("changes are %q", changes)
	}
	bot.Generation++ // the spec changes
	for _, component := range manifests.Components(bot) {
		template := find[*appsv1.Deployment](update().Pinned, component).Spec.Template
		if got := template.Spec.Containers[0].Image; got != "rosey.example/rosey:newer" {
			t.Errorf("after a change of the spec the %s runs %s", component, got)
		}
	}
}
