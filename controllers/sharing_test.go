package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// newSharer returns a RoseyBot that shares the database service of newBot, in a channel of its own name.
func newSharer(namespace, name string) *v1alpha1.RoseyBot {
	bot := newBot(namespace)
	bot.Name, bot.Spec.Channel.Name, bot.Spec.NATS = name, name, nil
	bot.Spec.Database = &v1alpha1.Database{SharedFrom: &v1alpha1.ObjectRef{Name: "movienight"}}
	return bot
}

// serving returns the report of a database service that is ready and serves the channels of RoseyBots.
func serving(bots ...*v1alpha1.RoseyBot) status.Report {
	report := status.Report{Component: status.DatabaseComponent, Ready: true, Reason: status.ReasonReady}
	for _, bot := range bots {
		server := bot.Spec.Channel.Server
		if server == "" {
			server = config.DefaultServer
		}
		report.Channels = append(report.Channels, status.ChannelName(server, bot.Spec.Channel.Name))
	}
	return report
}

// newBotPod creates a ready pod of the bot as its Deployment would.
func newBotPod(t *testing.T, bot *v1alpha1.RoseyBot) *corev1.Pod {
	t.Helper()
	deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, manifests.Bot))
	if err != nil {
		t.Fatal(err)
	}
	pod := newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
	change(t, pod, func() { pod.Annotations = deployment.Spec.Template.Annotations })
	return pod
}

// waitListed waits until the list of channels of the owner's service has these names.
func waitListed(t *testing.T, namespace string, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprint("the list has ", want), func(ctx context.Context) error {
		list, err := get(ctx, &corev1.ConfigMap{}, namespace, "movienight-channels")
		if err != nil {
			return err
		}
		channels, err := config.ParseChannels([]byte(list.Data[config.ChannelsFile]))
		if err != nil {
			return err
		}
		var names []string
		for _, channel := range channels {
			names = append(names, channel.Name)
		}
		if !slices.Equal(names, want) {
			return fmt.Errorf("it has %v", names)
		}
		return nil
	})
}

func waitDeployment(t *testing.T, bot *v1alpha1.RoseyBot, what string, check func(*appsv1.Deployment) bool) {
	t.Helper()
	eventually(t, what, func(ctx context.Context) error {
		deployment, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, manifests.Bot))
		if err == nil && !check(deployment) {
			err = fmt.Errorf("annotations are %v", deployment.Spec.Template.Annotations)
		}
		return err
	})
}

// botConfig returns the configuration of the bot in the cluster.
func botConfig(t *testing.T, bot *v1alpha1.RoseyBot) string {
	t.Helper()
	configuration, err := get(t.Context(), &corev1.ConfigMap{}, bot.Namespace, bot.Name+"-config")
	if err != nil {
		t.Fatal(err)
	}
	return configuration.Data[config.BotFile]
}

// sharedService is an owner whose service has two pods.
type sharedService struct {
	owner     *v1alpha1.RoseyBot
	processes []*process
}

func newSharedService(t *testing.T, namespace string) *sharedService {
	t.Helper()
	s := &sharedService{owner: withPostgres(newBot(namespace))}
	s.owner.Spec.Database.Replicas = new(int32(2))
	create(t, s.owner)
	rollOut(t, s.owner)
	for range 2 {
		started := startProcess(t, serving(s.owner))
		s.processes = append(s.processes, started)
		newPod(t, s.owner, manifests.Database, runningPod(started.ip, true))
	}
	newBotPod(t, s.owner)
	waitCondition(t, s.owner, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	return s
}

// serve has the pods report the channels of RoseyBots.
func (s *sharedService) serve(bots ...*v1alpha1.RoseyBot) {
	for _, one := range s.processes {
		one.report.Store(new(serving(append(bots, s.owner)...)))
	}
}

// Before every pod of the service serves the channel, one of them would refuse the bot's first lines.
func TestSharerStartsWhenEveryPodServesItsChannel(t *testing.T) {
	namespace := newNamespace(t)
	service := newSharedService(t, namespace)
	sharer := newSharer(namespace, "guest")
	create(t, sharer)
	waitListed(t, namespace, "guest", "movienight")
	waitExpected(t, sharer,
		expected{v1alpha1.ConditionReady, "False", "ChannelNotServed", "does not serve https://cytu.be/guest yet"},
		expected{v1alpha1.ConditionBotAvailable, "False", "ChannelNotServed", ""},
		expected{v1alpha1.ConditionDatabaseAvailable, "True", "Available", ""},
	)
	service.processes[0].report.Store(new(serving(service.owner, sharer)))
	service.processes[1].report.Store(&status.Report{})
	waitExpected(t, sharer, expected{v1alpha1.ConditionReady, "False", "ChannelNotServed", "does not report its status"})
	_, err := get(t.Context(), &appsv1.Deployment{}, namespace, "guest-bot")
	if !apierrors.IsNotFound(err) {
		t.Errorf("the bot was started before every pod serves its channel: %v", err)
	}
	service.serve(sharer)
	rollOut(t, sharer)
	newBotPod(t, sharer)
	waitCondition(t, sharer, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// Then nobody is asked any more.
	waitReconciled(t, sharer)
	waitReconciled(t, service.owner)
	asked := service.processes[0].asked.Load()
	reconcileOnce(t, sharer)
	if now := service.processes[0].asked.Load(); now != asked {
		t.Errorf("a service that serves the channel was asked %d times", now-asked)
	}
}

// A bot that changes its channel stays in the old one until the service serves the new one, and the service serves the
// old one until no pod of the bot is left in it.
func TestChangedChannelWaitsForTheService(t *testing.T) {
	namespace := newNamespace(t)
	service := newSharedService(t, namespace)
	sharer := newSharer(namespace, "guest")
	create(t, sharer)
	service.serve(sharer)
	rollOut(t, sharer)
	old := newBotPod(t, sharer)
	waitCondition(t, sharer, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	change(t, sharer, func() { sharer.Spec.Channel.Name = "moved" })
	waitListed(t, namespace, "guest", "moved", "movienight")
	waitExpected(t, sharer,
		expected{v1alpha1.ConditionReady, "False", "ChannelNotServed", "does not serve https://cytu.be/moved yet"},
		expected{v1alpha1.ConditionBotAvailable, "True", "Available", ""}, // in the old channel
	)
	if text := botConfig(t, sharer); !strings.Contains(text, "name: guest") {
		t.Errorf("the configuration that a restarted bot reads is\n%s", text)
	}
	service.serve(sharer) // without the old one, which this test does not need
	waitDeployment(t, sharer, "the new channel", func(deployment *appsv1.Deployment) bool {
		return deployment.Spec.Template.Annotations["rosey.dev/channel"] == "movienight https://cytu.be/moved"
	})
	if text := botConfig(t, sharer); !strings.Contains(text, "name: moved") {
		t.Errorf("the configuration is\n%s", text)
	}
	waitListed(t, namespace, "guest", "moved", "movienight")
	remove(t, old)
	waitListed(t, namespace, "moved", "movienight")
}

// The same holds for a RoseyBot with a service of its own, whose pods are replaced one by one.
func TestChangedChannelWaitsForTheOwnService(t *testing.T) {
	namespace := newNamespace(t)
	service := newSharedService(t, namespace)
	owner := service.owner
	change(t, owner, func() { owner.Spec.Channel.Name = "moved" })
	waitListed(t, namespace, "moved", "movienight")
	waitExpected(t, owner,
		expected{v1alpha1.ConditionReady, "False", "ChannelNotServed", "serve https://cytu.be/moved yet"})
	if text := botConfig(t, owner); !strings.Contains(text, "name: movienight") {
		t.Errorf("the configuration that a restarted bot reads is\n%s", text)
	}
	eventually(t, "the configuration of the service", func(ctx context.Context) error {
		configuration, err := get(ctx, &corev1.ConfigMap{}, namespace, "movienight-config")
		if err == nil && !strings.Contains(configuration.Data[config.DatabaseFile], "name: moved") {
			err = errors.New(configuration.Data[config.DatabaseFile])
		}
		return err
	})
	service.serve()
	waitDeployment(t, owner, "the new channel", func(deployment *appsv1.Deployment) bool {
		return deployment.Spec.Template.Annotations["rosey.dev/channel"] == "movienight https://cytu.be/moved"
	})
}

// A channel is served as long as a bot is in it, and no longer.
func TestChannelLeavesTheListWithTheLastPodOfItsSharer(t *testing.T) {
	namespace := newNamespace(t)
	service := newSharedService(t, namespace)
	sharer := newSharer(namespace, "guest")
	create(t, sharer)
	service.serve(sharer)
	rollOut(t, sharer)
	pod := newBotPod(t, sharer)
	waitListed(t, namespace, "guest", "movienight")
	if err := rig.admin.Delete(t.Context(), sharer); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sharer is not in the cache", func(ctx context.Context) error {
		err := rig.operator.Client.Get(ctx, client.ObjectKeyFromObject(sharer), &v1alpha1.RoseyBot{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is: %w", err)
		}
		return nil
	})
	reconcileOnce(t, service.owner)
	waitListed(t, namespace, "guest", "movienight")
	remove(t, pod)
	waitListed(t, namespace, "movienight")
}

// A channel that another service of the database owns is never served: waiting must not look as if it would end.
func TestSharerWhoseChannelAnotherServiceOwns(t *testing.T) {
	namespace := newNamespace(t)
	service := newSharedService(t, namespace)
	sharer := newSharer(namespace, "guest")
	report := serving(service.owner)
	report.RefusedChannels = map[string]string{"https://cytu.be/guest": "belongs to the service with the prefix theirs"}
	for _, one := range service.processes {
		one.report.Store(&report)
	}
	create(t, sharer)
	waitExpected(t, sharer, expected{v1alpha1.ConditionReady, "False", "ChannelOwned", "prefix theirs"})
}

// Two channels of one name on different servers would have the same subjects.
func TestSecondSharerOfAChannelNameIsRefused(t *testing.T) {
	namespace := newNamespace(t)
	service := newSharedService(t, namespace)
	sharer := newSharer(namespace, "guest")
	sharer.Spec.Channel.Server, sharer.Spec.Channel.Name = "https://other.example", "MovieNight"
	create(t, sharer)
	waitExpected(t, sharer, expected{
		v1alpha1.ConditionReady, "False", "SharedOwnerUnusable",
		"RoseyBot movienight, with the same database service, has a channel named movienight on https://cytu.be",
	})
	waitListed(t, namespace, "movienight")
	waitReconciled(t, service.owner)
	change(t, sharer, func() { sharer.Spec.Channel.Name = "guest" })
	waitListed(t, namespace, "movienight", "guest") // https://cytu.be comes before https://other.example
}

// Nobody can make the list of channels endless.
func TestSharersAreLimited(t *testing.T) {
	owner := newBot("fun")
	owner.Spec.Channel.Server = config.DefaultServer
	var sharers []v1alpha1.RoseyBot
	var served []manifests.ServedChannel
	for i := range 2 * manifests.MaxSharers {
		sharer := newSharer("fun", fmt.Sprintf("guest-%03d", i))
		sharer.Spec.Channel.Server = config.DefaultServer
		sharer.CreationTimestamp = metav1.NewTime(time.Unix(int64(1000-i), 0)) // the last one is the oldest
		sharers = append(sharers, *sharer)
		served = append(served, manifests.ServedChannel{
			Owner: owner.Name, Channel: fmt.Sprintf("https://cytu.be/former-%03d", i),
		})
	}
	accepted, refused := manifests.AcceptSharers(owner, sharers)
	if len(accepted) != manifests.MaxSharers || accepted[0].Name != "guest-199" ||
		!strings.Contains(refused["guest-000"], "shared by 100 others already") {
		t.Errorf("%d are accepted, guest-000 is refused because %q", len(accepted), refused["guest-000"])
	}
	if channels := manifests.ListChannels(owner, sharers, served); len(channels) != config.MaxListedChannels {
		t.Errorf("the list has %d channels, want %d", len(channels), config.MaxListedChannels)
	}
}
