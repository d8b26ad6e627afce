package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

func TestWebSchema(t *testing.T) {
	namespace := newNamespace(t)
	for name, test := range map[string]struct{ spec, want string }{
		"empty":            {with("web: {}"), ""},
		"with tokens":      {with("web: {enabled: true, tokensSecretRef: {name: t}}"), ""},
		"public":           {with("web: {enabled: true, public: true, people: TokensOnly, basePath: /}"), ""},
		"path":             {with("web: {basePath: /~rosey/movie-night.2/}"), ""},
		"shared":           {without("nats", shared, "web: {enabled: true, public: true}"), ""},
		"direct, disabled": {without("nats", "mode: Direct", "web: {tokensSecretRef: {name: t}}"), ""},
		"a namespace":      {with("web: {allowFrom: [{namespaceSelector: {matchLabels: {a: b}}, podSelector: {}}]}"), ""},
		"a network":        {with("web: {allowFrom: [{ipBlock: {cidr: 10.0.0.0/8}}]}"), ""},
		"nobody may read":  {with("web: {enabled: true}"), "expected public true or a tokensSecretRef"},
		"direct": {
			without("nats", "mode: Direct", "web: {enabled: true, public: true}"), "web.enabled: expected false in mode Direct",
		},
		"no path":           {with(`web: {basePath: ""}`), "expected an absolute path"},
		"relative path":     {with("web: {basePath: movienight}"), "expected an absolute path"},
		"path with dots":    {with("web: {basePath: /a/../b}"), "for example /movienight"},
		"path of a site":    {with("web: {basePath: //example.com}"), "expected an absolute path"},
		"path with a query": {with(`web: {basePath: "/a?b"}`), "expected an absolute path"},
		"long path":         {with("web: {basePath: /" + strings.Repeat("p", 200) + "}"), "may not be more than 200"},
		"people":            {with("web: {people: Nobody}"), `supported values: "Public", "TokensOnly", "Off"`},
		"no pod":            {with("web: {replicas: 0}"), "should be greater than or equal to 1"},
		"many pods":         {with("web: {replicas: 21}"), "should be less than or equal to 20"},
		"no Secret":         {with("web: {tokensSecretRef: {}}"), "spec.web.tokensSecretRef.name: Required value"},
		"Secret":            {with("web: {natsCredentialsSecretRef: {name: A_b}}"), "expected the name of an object"},
		"peer of nothing":   {with("web: {allowFrom: [{}]}"), "expected peers with either an ipBlock, or"},
		"peer of both": {
			with("web: {allowFrom: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}"), "expected peers with either an ipBlock",
		},
		"many peers": {
			with("web: {allowFrom: [" + strings.Repeat("{podSelector: {}}, ", 21) + "]}"), "must have at most 20 items",
		},
	} {
		t.Run(name, func(t *testing.T) {
			checkSchema(t, manifest(t, namespace, "movienight", test.spec), test.want)
		})
	}
}

// newWebBot returns a RoseyBot with a web page.
func newWebBot(namespace string) *v1alpha1.RoseyBot {
	bot := newBot(namespace)
	bot.Spec.Web = &v1alpha1.Web{
		Enabled: new(true), TokensSecretRef: &v1alpha1.ObjectRef{Name: "tokens"},
		NATSCredentialsSecretRef: &v1alpha1.ObjectRef{Name: "web-nats"},
	}
	return bot
}

// webPod returns the status of a pod of the web page.
func webPod(ip string, ready bool) corev1.PodStatus {
	status := runningPod(ip, ready)
	status.ContainerStatuses[0].Name = string(manifests.Web)
	return status
}

// The web page is a component like the others, except that the RoseyBot is ready without it.
func TestReadyDoesNotDependOnTheWebPage(t *testing.T) {
	bot := newWebBot(newNamespace(t))
	createReady(t, bot)
	waitKstatus(t, bot, kstatus.CurrentStatus)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "False", v1alpha1.ReasonProgressing, "a pod of the web page is being created",
	})
	page := startProcess(t, notReady(manifests.Web, status.NATSCheck, status.ReasonNATSCredentialsAbsent, "nats.creds"))
	pod := newPod(t, bot, manifests.Web, webPod(page.ip, false))
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "False", "NATSCredentialsAbsent",
		"Secret web-nats does not exist or has no credentials",
	}, expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	waitKstatus(t, bot, kstatus.CurrentStatus)
	waitNoCondition(t, bot, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)

	ready := healthyReport(manifests.Web)
	ready.Checks = []status.Check{{
		Name: status.TokensCheck, OK: true, Reason: status.ReasonReady, Message: "2 people; refused: bob",
	}}
	page.report.Store(&ready)
	setPodStatus(t, pod, webPod(page.ip, true))
	rollOutOf(t, bot, manifests.Web)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "True", v1alpha1.ReasonAvailable,
		"a pod of the web page is ready; tokens of Secret tokens: 2 people; refused: bob",
	})
	now, err := get(t.Context(), &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
	if err != nil {
		t.Fatal(err)
	}
	if want := (v1alpha1.ComponentStatus{Replicas: 1, ReadyReplicas: 1, Summary: "1/1"}); now.Status.Web != want {
		t.Errorf("status.web is %+v", now.Status.Web)
	}
	waitEvent(t, bot, corev1.EventTypeWarning, "NATSCredentialsAbsent", "web page: Secret web-nats")
	waitEvent(t, bot, corev1.EventTypeNormal, v1alpha1.ReasonAvailable, "web page: a pod of the web page is ready")
	waitReconciled(t, bot)
}

// A pod of the web page is ready while NATS is away, because its page says so. The condition says so too, and the page
// is available as soon as NATS is back.
func TestReadyWebPageWithoutNATSIsNotAvailable(t *testing.T) {
	bot := newWebBot(newNamespace(t))
	botPod := createReady(t, bot)
	page := startProcess(t, healthyReport(manifests.Web))
	newPod(t, bot, manifests.Web, webPod(page.ip, true))
	rollOutOf(t, bot, manifests.Web)
	available := expected{
		v1alpha1.ConditionWebAvailable, "True", v1alpha1.ReasonAvailable, "a pod of the web page is ready",
	}
	waitExpected(t, bot, available)
	const message = "cannot reach NATS at nats://nats:4222"
	away := notReady(manifests.Web, status.NATSCheck, status.ReasonNATSUnreachable, message)
	page.report.Store(&away)
	setPodStatus(t, botPod, runningPod("127.0.0.1", false)) // it needs NATS too, and then the page is asked at once
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "False", "NATSUnreachable", message,
	})
	well := healthyReport(manifests.Web)
	page.report.Store(&well)
	waitExpected(t, bot, available)
}

// An operator that cannot reach a pod that is ready says so, and does not claim that the pages are away.
func TestReadyWebPageThatDoesNotReportIsAvailable(t *testing.T) {
	bot := newWebBot(newNamespace(t))
	createReady(t, bot)
	newPod(t, bot, manifests.Web, webPod(newAddress(), true)) // where nothing listens
	rollOutOf(t, bot, manifests.Web)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "True", v1alpha1.ReasonAvailable, "; it does not report its status: ",
	})
}

// waitEvent waits for an event about a RoseyBot whose note begins with a text.
func waitEvent(t *testing.T, bot *v1alpha1.RoseyBot, kind, reason, note string) {
	t.Helper()
	eventually(t, "event "+reason, func(ctx context.Context) error {
		events := &eventsv1.EventList{}
		err := rig.admin.List(ctx, events, client.InNamespace(bot.Namespace))
		if err == nil && !slices.ContainsFunc(events.Items, func(event eventsv1.Event) bool {
			return event.Type == kind && event.Reason == reason && strings.HasPrefix(event.Note, note)
		}) {
			err = errors.New("there is none")
		}
		return err
	})
}

// Its objects come and go with web.enabled, and its pods with suspend.
func TestWebPageComesAndGoes(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	waitNoCondition(t, bot, v1alpha1.ConditionWebAvailable)
	change(t, bot, func() { bot.Spec.Web = newWebBot("").Spec.Web; bot.Spec.Web.Replicas = new(int32(2)) })
	waitReplicas(t, bot, "movienight-web", 2)
	pod := newPod(t, bot, manifests.Web, webPod("127.0.0.1", true))
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "True", v1alpha1.ReasonAvailable, "1 of 2 pods of the web page are ready",
	})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(rig.operator.Client, rig.operator.Connections))
	eventually(t, "the series", func(context.Context) error {
		got, err := scrape(registry, bot.Namespace)
		const want = "component_replicas{component=web,state=wanted} 2"
		if err == nil && !slices.Contains(got, want) {
			err = fmt.Errorf("no %s in %q", want, got)
		}
		return err
	})

	change(t, bot, func() { bot.Spec.Suspend = new(true) })
	waitReplicas(t, bot, "movienight-web", 0)
	waitCondition(t, bot, v1alpha1.ConditionWebAvailable, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	err := rig.admin.DeleteAllOf(t.Context(), pod, client.InNamespace(bot.Namespace), client.GracePeriodSeconds(0))
	if err != nil {
		t.Fatal(err)
	}
	rollOut(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)

	change(t, bot, func() { bot.Spec.Web.Enabled = new(false) })
	for _, object := range []client.Object{
		&appsv1.Deployment{}, &corev1.Service{}, &networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{},
	} {
		waitGone(t, object, bot.Namespace, "movienight-web")
	}
	waitNoCondition(t, bot, v1alpha1.ConditionWebAvailable)
	now, err := get(t.Context(), &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
	if err != nil {
		t.Fatal(err)
	}
	if now.Status.Web != (v1alpha1.ComponentStatus{}) {
		t.Errorf("status.web is %+v", now.Status.Web)
	}
}

// What prevents the web page prevents nothing else.
func TestForeignServiceOfTheWebPageStopsNoBot(t *testing.T) {
	bot := newWebBot(newNamespace(t))
	foreign := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "movienight-web", Namespace: bot.Namespace}}
	foreign.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	create(t, foreign)
	createReady(t, bot)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "False", v1alpha1.ReasonForeignObject, "Service movienight-web",
	}, expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	waitKstatus(t, bot, kstatus.CurrentStatus)
}

// An address that only the API server can check is to be mended in the RoseyBot: it is no error of the operator, which
// would wake whoever runs that. Without its NetworkPolicy, there is no web page.
func TestInvalidPeersAreNoErrorOfTheOperator(t *testing.T) {
	bot := newWebBot(newNamespace(t))
	bot.Spec.Web.AllowFrom = []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0/8"}}}
	createReady(t, bot)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionWebAvailable, "False", v1alpha1.ReasonWriteFailed,
		"expected other values in networkPolicy.egress, web.allowFrom or the egress of plugins",
	}, expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	if _, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-web"); !apierrors.IsNotFound(err) {
		t.Errorf("the web page runs without its NetworkPolicy: %v", err)
	}
	policy := &networkingv1.NetworkPolicy{}
	policy.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"))
	err := apierrors.NewInvalid(policy.GroupVersionKind().GroupKind(), "movienight-web", nil)
	if found := writeProblem(policy, err, false); found.err != nil {
		t.Errorf("the reconcile fails: %v", found.err)
	}
}

// A RoseyBot that shares a database service has a web page of its own, with the NATS connection of the owner.
func TestSharerHasAWebPageOfItsOwn(t *testing.T) {
	namespace := newNamespace(t)
	owner := newBot(namespace)
	owner.Spec.NATS.CredentialsSecretRef = &v1alpha1.ObjectRef{Name: "owner-nats"}
	owner.Spec.NATS.TLSSecretRef = &v1alpha1.ObjectRef{Name: "owner-tls"}
	sharer := newSharer(namespace, "cartoons")
	sharer.Spec.Web = &v1alpha1.Web{Enabled: new(true), Public: new(true)}
	create(t, sharer)
	waitExpected(t, sharer, expected{
		v1alpha1.ConditionWebAvailable, "False", v1alpha1.ReasonSharedOwnerMissing, "RoseyBot movienight does not exist",
	})
	create(t, owner)
	waitReplicas(t, sharer, "cartoons-web", 1)
	deployment, err := get(t.Context(), &appsv1.Deployment{}, namespace, "cartoons-web")
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.Secret != nil {
			secrets = append(secrets, volume.Secret.SecretName)
		}
	}
	if diff := cmp.Diff([]string{"owner-nats", "owner-tls"}, secrets); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
	configuration, err := get(t.Context(), &corev1.ConfigMap{}, namespace, "cartoons-config")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := config.Parse([]byte(configuration.Data[config.WebFile]), status.WebComponent)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.NATS.SubjectPrefix != "rosey_"+namespace+"_movienight" || parsed.Channel.Name != "cartoons" ||
		!parsed.Web.Public {
		t.Errorf("the configuration is\n%s", configuration.Data[config.WebFile])
	}
}

// A web page that does not start is looked at again, although the RoseyBot is ready; less often the longer it lasts.
func TestWebPageIsLookedAtAgain(t *testing.T) {
	now := time.Date(2026, time.January, 1, 0, 10, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		status metav1.ConditionStatus
		reason string
		ago    time.Duration
		tokens bool
		want   time.Duration
	}{
		"just created":     {metav1.ConditionFalse, v1alpha1.ReasonProgressing, 0, false, minPollInterval},
		"for ten seconds":  {metav1.ConditionFalse, v1alpha1.ReasonCrashLoop, 10 * time.Second, true, 5 * time.Second},
		"for ten minutes":  {metav1.ConditionFalse, v1alpha1.ReasonCrashLoop, 10 * time.Minute, true, maxPollInterval},
		"does not respond": {metav1.ConditionUnknown, v1alpha1.ReasonStatusUnknown, 0, false, minPollInterval},
		"suspended":        {metav1.ConditionFalse, v1alpha1.ReasonSuspended, 0, true, 0},
		"ready":            {metav1.ConditionTrue, v1alpha1.ReasonAvailable, 0, false, readyPollInterval},
		"ready, tokens":    {metav1.ConditionTrue, v1alpha1.ReasonAvailable, 0, true, readyPollInterval},
	} {
		t.Run(name, func(t *testing.T) {
			bot, next := newWebBot("fun"), v1alpha1.RoseyBotStatus{}
			if !test.tokens {
				bot.Spec.Web.TokensSecretRef = nil
			}
			for kind, one := range map[string]metav1.Condition{
				v1alpha1.ConditionReady:        {Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonScaledToZero},
				v1alpha1.ConditionWebAvailable: {Status: test.status, Reason: test.reason},
			} {
				one.Type, one.LastTransitionTime = kind, metav1.NewTime(now.Add(-test.ago))
				meta.SetStatusCondition(&next.Conditions, one)
			}
			if got := pollInterval(bot, next, now); got != test.want {
				t.Errorf("repeated after %s, want %s", got, test.want)
			}
		})
	}
}
