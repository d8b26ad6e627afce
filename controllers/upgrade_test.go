package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/test/apiservertest"
)

// Namespaces that the operator of the other tests does not watch.
const upgradeNamespace, addedNamespace = "upgrade", "upgrade-added"

// runOperator runs an operator for a namespace until stop is called.
func runOperator(t *testing.T, namespace string, edit func(*Reconciler)) (stop func()) {
	t.Helper()
	return runOperatorIn(t, []string{namespace}, edit)
}

func runOperatorIn(t *testing.T, namespaces []string, edit func(*Reconciler)) (stop func()) {
	t.Helper()
	manager, err := ctrl.NewManager(rig.config, ctrl.Options{
		Scheme:     rig.operator.Client.Scheme(),
		Cache:      CacheOptions(namespaces),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: controllerconfig.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	operator := New(manager, manifests.Params{Image: testImage}, rig.port)
	operator.Connections, operator.probes.fetch = rig.operator.Connections, rig.operator.probes.fetch
	edit(operator)
	if err := operator.SetupWithManager(t.Context(), manager); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// makeNewer changes an operator into one that builds pods with another image, environment and configuration.
func makeNewer(operator *Reconciler) {
	operator.Params.Image = "rosey.example/rosey:next"
	operator.Build = func(
		bot *v1alpha1.RoseyBot, params manifests.Params, observed manifests.Observed,
	) ([]manifests.Desired, error) {
		set, err := manifests.Build(bot, params, observed)
		configuration := ""
		for _, desired := range set {
			switch object := desired.Object.(type) {
			case *corev1.ConfigMap:
				if object.Data[config.BotFile] != "" {
					object.Data[config.BotFile] += "unknownToTheOldImage: true\n"
					configuration = object.Data[config.BotFile]
				}
			case *appsv1.Deployment:
				if desired.Component == manifests.Bot {
					object.Spec.Template.Annotations["rosey.dev/config-hash"] = manifests.Hash(configuration)
				}
				container := &object.Spec.Template.Spec.Containers[0]
				container.Env = append(container.Env, corev1.EnvVar{Name: "NEXT", Value: "yes"})
			case *corev1.Service:
				object.Labels["next"] = "yes"
			}
		}
		return set, err
	}
}

// podInputs is what the pods of a RoseyBot are started from.
type podInputs struct {
	Templates map[string]corev1.PodTemplateSpec
	Config    map[string]string
}

func readPodInputs(ctx context.Context, bot *v1alpha1.RoseyBot) (podInputs, error) {
	found := podInputs{Templates: map[string]corev1.PodTemplateSpec{}}
	for _, name := range []string{"-bot", "-db"} {
		deployment, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, bot.Name+name)
		if err != nil {
			return podInputs{}, err
		}
		found.Templates[name] = deployment.Spec.Template
	}
	configuration, err := get(ctx, &corev1.ConfigMap{}, bot.Namespace, bot.Name+"-config")
	found.Config = configuration.Data
	return found, err
}

func waitUpdated(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	eventually(t, bot.Name+" runs what the newer operator builds", func(ctx context.Context) error {
		now, err := readPodInputs(ctx, bot)
		if err != nil {
			return err
		}
		for name, template := range now.Templates {
			container := template.Spec.Containers[0]
			if container.Image != "rosey.example/rosey:next" || len(container.Env) != 3 {
				return fmt.Errorf("%s runs %s with %v", name, container.Image, container.Env)
			}
		}
		if now.Config["bot.yaml"][len(now.Config["bot.yaml"])-5:] != "true\n" {
			return errors.New("the configuration is the old one")
		}
		return nil
	})
	waitCondition(t, bot, v1alpha1.ConditionUpdateAvailable, metav1.ConditionFalse, v1alpha1.ReasonUpToDate)
}

func TestNewerOperatorRestartsNoPodUnderManual(t *testing.T) {
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: upgradeNamespace}})
	manual, automatic := newBot(upgradeNamespace), newBot(upgradeNamespace)
	automatic.Name, automatic.Spec.UpdatePolicy = "automatic", v1alpha1.UpdateAutomatic
	stop := runOperator(t, upgradeNamespace, func(*Reconciler) {})
	createReady(t, manual)
	createReady(t, automatic)
	stop()
	before, err := readPodInputs(t.Context(), manual)
	if err != nil {
		t.Fatal(err)
	}

	stop = runOperator(t, upgradeNamespace, makeNewer)
	waiting := waitCondition(t, manual, v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue,
		v1alpha1.ReasonOperatorChanged)
	want := "this version of the operator builds different pods, which it rolls out when what they are built from " +
		"changes in the spec, or with updatePolicy Automatic: " +
		"Deployment movienight-db with image rosey.example/rosey:next, " +
		"Deployment movienight-bot with image rosey.example/rosey:next"
	if waiting.Message != want {
		t.Errorf("message is %q, want %q", waiting.Message, want)
	}
	waitUpdated(t, automatic)
	waitLabel(t, "movienight-bot", "next") // changes that restart no pod are applied
	// The rest of a Deployment is repaired although its template is pinned.
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "movienight-bot", Namespace: upgradeNamespace}}
	change(t, deployment, func() { deployment.Spec.Replicas = new(int32(3)) })
	waitReplicas(t, manual, "movienight-bot", 1)
	// What is deleted or edited is restored as it was.
	removeAll(t, manual)
	waitInputs(t, manual, before)
	change(t, deployment, func() { deployment.Spec.Template.Spec.Containers[0].Image = "rosey.example/rosey:edited" })
	waitInputs(t, manual, before)
	rollOut(t, manual)
	waitCondition(t, manual, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	stop()
	removeAll(t, manual)

	// A restart of the newer operator changes nothing either. A change of the spec rolls out the update.
	stop = runOperator(t, upgradeNamespace, makeNewer)
	defer func() { stop() }()
	waitInputs(t, manual, before)
	waitCondition(t, manual, v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue, v1alpha1.ReasonOperatorChanged)
	change(t, manual, func() { manual.Spec.LogLevel = "debug" })
	waitUpdated(t, manual)
}

// A web page that is added, changed or removed while an update waits under Manual must not restart the bot and the
// database service, which run on as they are.
func TestChangesOfTheWebPageAfterAnUpgradeRestartNoBot(t *testing.T) {
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	t.Parallel()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: addedNamespace}})
	bot := newBot(addedNamespace)
	stop := runOperator(t, addedNamespace, func(*Reconciler) {})
	createReady(t, bot)
	stop()
	before, err := readPodInputs(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	stop = runOperator(t, addedNamespace, makeNewer)
	defer stop()
	waitCondition(t, bot, v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue, v1alpha1.ReasonOperatorChanged)
	waitPage := func(image string, generation int64) {
		t.Helper()
		eventually(t, "the web page runs "+image, func(ctx context.Context) error {
			page, err := get(ctx, &appsv1.Deployment{}, addedNamespace, manifests.Name(bot, manifests.Web))
			if err != nil {
				return err
			}
			built := page.Annotations["rosey.dev/spec-generation"]
			got := page.Spec.Template.Spec.Containers[0].Image
			if got != image || !strings.HasPrefix(built, fmt.Sprint(generation, " ")) {
				err = fmt.Errorf("it runs %s, built from %s", got, built)
			}
			return err
		})
		now, err := readPodInputs(t.Context(), bot) // which are written before those of the web page
		delete(now.Config, config.WebFile)
		if diff := cmp.Diff(before, now); diff != "" || err != nil {
			t.Errorf("templates and configuration (-before +after):\n%s%v", diff, err)
		}
	}
	change(t, bot, func() { bot.Spec.Web = newWebBot("").Spec.Web })
	waitPage(testImage, bot.Generation)
	change(t, bot, func() { bot.Spec.Web.Public = new(true) })
	waitPage("rosey.example/rosey:next", bot.Generation)
	change(t, bot, func() { bot.Spec.Web.Enabled = new(false) })
	for _, object := range []client.Object{&appsv1.Deployment{}, &corev1.Service{}, &networkingv1.NetworkPolicy{}} {
		waitGone(t, object, addedNamespace, manifests.Name(bot, manifests.Web))
	}
	waitInputs(t, bot, before)
}

// removeAll deletes everything that the pods of a RoseyBot are started from.
func removeAll(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	for name, object := range map[string]client.Object{
		"-bot": &appsv1.Deployment{}, "-db": &appsv1.Deployment{}, "-config": &corev1.ConfigMap{},
	} {
		object.SetNamespace(bot.Namespace)
		object.SetName(bot.Name + name)
		if err := rig.admin.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// waitInputs waits until the pods of a RoseyBot are started from what they were before.
func waitInputs(t *testing.T, bot *v1alpha1.RoseyBot, want podInputs) {
	t.Helper()
	eventually(t, "templates and configuration as before", func(ctx context.Context) error {
		got, err := readPodInputs(ctx, bot)
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			err = errors.New(diff)
		}
		return err
	})
}

func waitLabel(t *testing.T, service, label string) {
	t.Helper()
	eventually(t, service+" has label "+label, func(ctx context.Context) error {
		now, err := get(ctx, &corev1.Service{}, upgradeNamespace, service)
		if err == nil && now.Labels[label] == "" {
			err = fmt.Errorf("labels are %v", now.Labels)
		}
		return err
	})
}
