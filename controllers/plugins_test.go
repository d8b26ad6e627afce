package controllers

import (
	"context"
	"encoding/json"
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
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

func TestPluginsSchema(t *testing.T) {
	namespace := newNamespace(t)
	plugin := func(fields string) string { return with("plugins: [{name: weather, image: w, " + fields + "}]") }
	const either, ofHost = "expected either builtin or image", "expected none with builtin, because all built-in plugins"
	for name, test := range map[string]struct{ spec, want string }{
		"built in": {with("plugins: [{name: dice, builtin: dice}, {name: luck, builtin: dice, config: {max: '9'}}]"), ""},
		"image":    {plugin("replicas: 5, probes: HTTP, resources: {limits: {memory: 1Gi}}"), ""},
		"all grants": {
			plugin("grants: {events: [message, user_join], say: true, queue: true, state: [users, media, playlist, poll]}"), "",
		},
		"acts":         {plugin("grants: {act: [{verb: playlist.add, rank: 2}, {verb: kick}]}"), ""},
		"no grants":    {with("plugins: [{name: dice, builtin: dice, grants: {}}]"), ""},
		"environment":  {plugin("envFrom: [{secretRef: {name: key}}, {configMapRef: {name: map}, prefix: P_}]"), ""},
		"egress":       {plugin("egress: [{ports: [{port: 443}], to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"), ""},
		"pod metadata": {plugin("podMetadata: {labels: {example.com/team: fun}, annotations: {note: any text}}"), ""},
		"settings":     {plugin("config: {a.b-c_D: '" + strings.Repeat("x", 16384) + "'}"), ""},
		"host": {
			with("pluginHost: {natsCredentialsSecretRef: {name: h}, envFrom: [{secretRef: {name: key}}], egress: [{}]}"), "",
		},
		"shared":       {without("nats", shared, "plugins: [{name: dice, builtin: dice}]"), ""},
		"direct, host": {without("nats", "mode: Direct", "plugins: []", "pluginHost: {}"), ""},
		"commands": {
			with("commands: {prefix: '!!', chat: true, pm: false, cooldown: {userSeconds: 0}, ignore: [OtherBot]}"), "",
		},
		"direct, command": {without("nats", "mode: Direct", "commands: {prefix: '.'}"), ""},
		"overrides": {
			with("commands: {overrides: [{command: dice.roll, name: r, rank: 2, allow: [a], deny: [b]," +
				" cooldown: {channelSeconds: 9}}, {command: seen, disabled: true}]}"), "",
		},
		"direct": {
			without("nats", "mode: Direct", "plugins: [{name: dice, builtin: dice}]"), "plugins: expected none in mode Direct",
		},
		"neither":         {with("plugins: [{name: a}]"), either},
		"both":            {plugin("builtin: dice"), either},
		"unknown":         {with("plugins: [{name: a, builtin: chess}]"), `supported values: "countdown", "custom"`},
		"own user":        {with("plugins: [{name: a, builtin: dice, natsCredentialsSecretRef: {name: own}}]"), ofHost},
		"own environment": {with("plugins: [{name: a, builtin: dice, envFrom: []}]"), ofHost},
		"own pods":        {with("plugins: [{name: a, builtin: dice, replicas: 1}]"), ofHost},
		"own metadata":    {with("plugins: [{name: a, builtin: dice, podMetadata: {labels: {a: b}}}]"), ofHost},
		"own egress":      {with("plugins: [{name: a, builtin: dice, egress: [{}]}]"), ofHost},
		"twice":           {with("plugins: [{name: a, builtin: dice}, {name: a, image: w}]"), "Duplicate value"},
		"name":            {with("plugins: [{name: a-b, builtin: dice}]"), "expected 1 to 30 lower case letters and digits"},
		"no name":         {with("plugins: [{builtin: dice}]"), "spec.plugins[0].name: Required value"},
		"long name": {
			with("plugins: [{name: " + strings.Repeat("a", 31) + ", builtin: dice}]"), "may not be more than 30",
		},
		"image's name":    {with("plugins: [{name: a, image: a b}]"), "expected an image reference without spaces"},
		"many pods":       {plugin("replicas: 6"), "should be less than or equal to 5"},
		"probes":          {plugin("probes: Exec"), `supported values: "None", "HTTP"`},
		"event":           {plugin("grants: {events: ['*']}"), "expected names of events"},
		"state":           {plugin("grants: {state: [passwords]}"), `supported values: "users", "media", "playlist", "poll"`},
		"verb":            {plugin("grants: {act: [{verb: ban}]}"), "supported values"},
		"verb twice":      {plugin("grants: {act: [{verb: kick}, {verb: kick, rank: 3}]}"), "Duplicate value"},
		"rank":            {plugin("grants: {act: [{verb: kick, rank: -1}]}"), "should be greater than or equal to 0"},
		"key of settings": {plugin("config: {a/b: c}"), "expected keys of at most 63 letters, digits"},
		"long setting":    {plugin("config: {a: '" + strings.Repeat("x", 16385) + "'}"), "may not be more than 16384"},
		"operator label":  {plugin("podMetadata: {labels: {rosey.dev/roseybot: x}}"), "expected none of the labels"},
		"annotation": {
			plugin("podMetadata: {annotations: {rosey.dev/x: x}}"), "expected none of the annotations",
		},
		"many labels":   {plugin("podMetadata: {labels: {" + many(31) + "}}"), "must have at most 30 items"},
		"many settings": {plugin("config: {" + many(51) + "}"), "must have at most 50 items"},
		"no source":     {plugin("envFrom: [{prefix: P_}]"), "expected either a secretRef or a configMapRef"},
		"many ports": {
			plugin("egress: [{ports: [" + strings.Repeat("{port: 1}, ", 51) + "]}]"), "expected at most 50 ports and 50 peers",
		},
		"many plugins": {
			with("plugins: [" + func() (list string) {
				for i := range 21 {
					list += fmt.Sprintf("{name: p%d, builtin: dice}, ", i)
				}
				return list
			}() + "]"), "must have at most 20 items",
		},
		"prefix":          {with("commands: {prefix: /}"), "do not begin with '/', for example !"},
		"prefix of words": {with("commands: {prefix: 'a b'}"), "expected 1 to 5 characters without space"},
		"override":        {with("commands: {overrides: [{command: a b}]}"), "expected the name of a command"},
		"other name":      {with("commands: {overrides: [{command: a, name: b c}]}"), "expected 1 to 30 characters"},
		"user":            {with("commands: {ignore: ['a b']}"), "expected names of users"},
		"cooldown":        {with("commands: {cooldown: {userSeconds: 3601}}"), "expected at most 3600 seconds"},
		"own cooldown": {
			with("commands: {overrides: [{command: a, cooldown: {userSeconds: 604801}}]}"), "less than or equal to 604800",
		},
	} {
		t.Run(name, func(t *testing.T) {
			checkSchema(t, manifest(t, namespace, "movienight", test.spec), test.want)
		})
	}
}

// newPluggedBot returns a RoseyBot with a built-in plugin and one of its own.
func newPluggedBot(namespace string) *v1alpha1.RoseyBot {
	bot := newBot(namespace)
	bot.Spec.PluginHost.NATSCredentialsSecretRef = &v1alpha1.ObjectRef{Name: "host-nats"}
	bot.Spec.Plugins = []v1alpha1.Plugin{
		{Name: "dice", Builtin: "dice", Config: map[string]v1alpha1.PluginSetting{"maxDice": "20"}},
		{
			Name: "weather", Image: testImage, Config: map[string]v1alpha1.PluginSetting{"city": "Paris"},
			NATSCredentialsSecretRef: &v1alpha1.ObjectRef{Name: "weather-nats"},
		},
	}
	return bot
}

const weather = manifests.Component("plugin-weather")

// podOfPlugin returns the status of a pod whose container has the name that those of plugins have.
func podOfPlugin(pod corev1.PodStatus) corev1.PodStatus {
	pod.ContainerStatuses[0].Name = string(status.PluginComponent)
	return pod
}

// withPlugins returns the report of a bot that has read the list of plugins.
func withPlugins(t *testing.T, bot *v1alpha1.RoseyBot, plugins ...status.PluginReport) status.Report {
	t.Helper()
	files, err := manifests.LiveFiles(bot)
	if err != nil {
		t.Fatal(err)
	}
	report := healthyReport(manifests.Bot)
	report.Checks = append(report.Checks, status.Check{Name: status.PluginsCheck, OK: true, Reason: status.ReasonReady})
	report.LiveFiles, report.Plugins = map[string]string{}, plugins
	for name, content := range files {
		report.LiveFiles[name] = status.ContentHash([]byte(content))
	}
	return report
}

// plugged is a RoseyBot with plugins that is ready, and its processes.
type plugged struct {
	*v1alpha1.RoseyBot

	process, host       *process
	hostPod, weatherPod *corev1.Pod
}

var rolls = []string{"roll", "flip"}

// createPlugged creates a RoseyBot with plugins, all of which are available.
func createPlugged(t *testing.T, bot *v1alpha1.RoseyBot) plugged {
	t.Helper()
	create(t, bot)
	rollOut(t, bot)
	rollOutOf(t, bot, manifests.Plugins, weather)
	made := plugged{
		RoseyBot: bot,
		process: startProcess(t, withPlugins(t, bot,
			status.PluginReport{Name: "dice", OK: true, Reason: status.ReasonReady, Commands: rolls},
			status.PluginReport{Name: "weather", OK: true, Reason: status.ReasonReady, Commands: []string{"weather"}})),
		host: startProcess(t, healthyReport(manifests.Plugins)),
	}
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	newPod(t, bot, manifests.Bot, runningPod(made.process.ip, true))
	made.hostPod = newPod(t, bot, manifests.Plugins, runningPod(made.host.ip, true))
	made.weatherPod = newPod(t, bot, weather, podOfPlugin(runningPod("127.0.0.1", true)))
	waitExpected(t, bot,
		expected{v1alpha1.ConditionPluginsAvailable, "True", v1alpha1.ReasonAvailable, "2 plugins are available"},
		expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	return made
}

// A plugin is a component like the others, except that the RoseyBot is ready without it.
func TestReadyDoesNotDependOnPlugins(t *testing.T) {
	bot := newPluggedBot(newNamespace(t))
	createReady(t, bot)
	waitKstatus(t, bot, kstatus.CurrentStatus)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionPluginsAvailable, "False", v1alpha1.ReasonProgressing,
		"plugin dice: a pod of the host of the built-in plugins is being created; 2 of 2 plugins are not available",
	})
	absent := notReady(manifests.Plugins, status.NATSCheck, status.ReasonNATSCredentialsAbsent, "nats.creds")
	host := startProcess(t, absent)
	newPod(t, bot, manifests.Plugins, runningPod(host.ip, false))
	waitExpected(t, bot,
		expected{
			v1alpha1.ConditionPluginsAvailable, "False", "NATSCredentialsAbsent",
			"plugin dice: Secret host-nats does not exist or has no credentials",
		},
		expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	waitKstatus(t, bot, kstatus.CurrentStatus)
	waitNoCondition(t, bot, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
	waitEvent(t, bot, corev1.EventTypeWarning, "NATSCredentialsAbsent", "plugins: plugin dice: Secret host-nats")
}

// The status lists the plugins with their commands, and says what is wrong with which of them.
func TestStatusExplainsPlugins(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	bot := made.RoseyBot
	waitPlugins(t, bot, []v1alpha1.PluginStatus{
		{Name: "dice", Replicas: 1, ReadyReplicas: 1, Reason: v1alpha1.ReasonAvailable, Commands: rolls},
		{Name: "weather", Replicas: 1, ReadyReplicas: 1, Reason: v1alpha1.ReasonAvailable, Commands: []string{"weather"}},
	})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(rig.operator.Client, rig.operator.Connections))
	eventually(t, "the series", func(context.Context) error {
		got, err := scrape(registry, bot.Namespace)
		for _, want := range []string{
			"component_replicas{component=plugin-weather,state=wanted} 1", "component_replicas{component=plugins,state=ready} 1",
		} {
			if err == nil && !slices.Contains(got, want) {
				err = fmt.Errorf("no %s in %q", want, got)
			}
		}
		return err
	})

	setPodStatus(t, made.weatherPod, podOfPlugin(crashedPod(3, "Error", "no key of the API")))
	waitExpected(t, bot,
		expected{
			v1alpha1.ConditionPluginsAvailable, "False", v1alpha1.ReasonCrashLoop,
			"plugin weather: the plugin weather exited with code 3: no key of the API",
		},
		expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	setPodStatus(t, made.weatherPod, podOfPlugin(waitingPod("ErrImagePull", "not found")))
	waitExpected(t, bot, expected{
		v1alpha1.ConditionPluginsAvailable, "False", v1alpha1.ReasonImagePullFailed, "of the plugin weather: not found",
	})
	waitPlugins(t, bot, []v1alpha1.PluginStatus{
		{Name: "dice", Replicas: 1, ReadyReplicas: 1, Reason: v1alpha1.ReasonAvailable, Commands: rolls},
		{
			Name: "weather", Replicas: 1, Reason: v1alpha1.ReasonImagePullFailed, Commands: []string{"weather"},
			Message: "image " + testImage + " of the plugin weather: not found",
		},
	})
	waitKstatus(t, bot, kstatus.CurrentStatus)
}

// A plugin that serves its status says itself what it lacks, and the Secret is its own. Others are not affected.
func TestPluginWithoutCredentialsNamesItsOwnSecret(t *testing.T) {
	bot := newPluggedBot(newNamespace(t))
	bot.Spec.NATS.CredentialsSecretRef = &v1alpha1.ObjectRef{Name: "bot-nats"}
	bot.Spec.Plugins[1].Probes = v1alpha1.PluginProbesHTTP
	made := createPlugged(t, bot)
	absent := startProcess(t, notReady(status.PluginComponent, status.NATSCheck, status.ReasonNATSCredentialsAbsent, ""))
	setPodStatus(t, made.weatherPod, podOfPlugin(runningPod(absent.ip, false)))
	waitExpected(t, bot,
		expected{
			v1alpha1.ConditionPluginsAvailable, "False", "NATSCredentialsAbsent",
			"plugin weather: Secret weather-nats does not exist or has no credentials",
		},
		expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	waitKstatus(t, bot, kstatus.CurrentStatus)
	waitEvent(t, bot, corev1.EventTypeWarning, "NATSCredentialsAbsent", "plugins: plugin weather: Secret weather-nats")
	setPodStatus(t, made.weatherPod, podOfPlugin(runningPod("127.0.0.1", true)))
	waitCondition(t, bot, v1alpha1.ConditionPluginsAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
}

func waitPlugins(t *testing.T, bot *v1alpha1.RoseyBot, want []v1alpha1.PluginStatus) {
	t.Helper()
	eventually(t, "status.plugins", func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if diff := cmp.Diff(want, now.Status.Plugins); err == nil && diff != "" {
			err = errors.New(diff)
		}
		return err
	})
}

// Kubernetes does not see that a process hangs that serves no probes, and not which of the built-in plugins has failed.
// The bot and the host do.
func TestPluginThatHangsIsSeenByTheBot(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	bot := made.RoseyBot
	answers := status.PluginReport{Name: "dice", OK: true, Reason: status.ReasonReady}
	hangs := status.PluginReport{
		Name: "weather", Reason: status.ReasonPluginAbsent, Message: "it has not answered for 30 s",
	}
	report := withPlugins(t, bot, answers, hangs)
	made.process.report.Store(&report)
	askAgain(t, bot)
	waitExpected(t, bot,
		expected{
			v1alpha1.ConditionPluginsAvailable, "False", "PluginAbsent", "plugin weather: it has not answered for 30 s",
		},
		expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})

	failed := healthyReport(manifests.Plugins)
	failed.Plugins = []status.PluginReport{{Name: "dice", Reason: status.ReasonPluginFailed, Message: "no such die"}}
	made.host.report.Store(&failed)
	answers.OK, answers.Reason, hangs.OK, hangs.Reason = false, status.ReasonPluginAbsent, true, status.ReasonReady
	report = withPlugins(t, bot, answers, hangs)
	made.process.report.Store(&report)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionPluginsAvailable, "False", "PluginFailed", "plugin dice: no such die",
	})
}

// The host is not ready while one of its plugins fails, and its message is about the first of them. That must not be
// told of another one, which may even work.
func TestABuiltinPluginThatFailsFailsAlone(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	const away = "cannot reach NATS at nats://nats:4222: timed out"
	failed := notReady(manifests.Plugins, status.PluginsCheck, status.ReasonNATSUnreachable, "plugin clock: "+away)
	failed.Plugins = []status.PluginReport{
		{Name: "clock", Reason: status.ReasonNATSUnreachable, Message: away},
		{Name: "dice", Reason: status.ReasonNATSUnreachable, Message: away},
	}
	host := startProcess(t, failed)
	setPodStatus(t, made.hostPod, runningPod(host.ip, false))
	waitExpected(t, made.RoseyBot, expected{
		v1alpha1.ConditionPluginsAvailable, "False", "NATSUnreachable", "plugin dice: " + away,
	})
	failed.Plugins = []status.PluginReport{failed.Plugins[0], {Name: "dice", OK: true, Reason: status.ReasonReady}}
	host.report.Store(&failed)
	waitExpected(t, made.RoseyBot, expected{
		v1alpha1.ConditionPluginsAvailable, "True", v1alpha1.ReasonAvailable, "2 plugins are available",
	})
}

// The operator says more about some causes than the host does, and that must not be told of a plugin that works.
func TestABuiltinPluginWithoutCredentialsFailsAlone(t *testing.T) {
	bot := newPluggedBot("fun")
	pod := corev1.Pod{Status: runningPod("127.0.0.1", false)}
	pod.Name = "host"
	report := notReady(manifests.Plugins, status.PluginsCheck, status.ReasonNATSCredentialsAbsent, "plugin dice: no file")
	report.Plugins = []status.PluginReport{
		{Name: "dice", Reason: status.ReasonNATSCredentialsAbsent, Message: "no file"},
		{Name: "trivia", OK: true, Reason: status.ReasonReady},
	}
	in := statusInput{bot: bot, observed: newObserved(), reports: map[string]probeResult{"host": {report: report}}}
	in.observed.pods[manifests.Plugins] = []corev1.Pod{pod}
	pods := causeOfComponent(in, manifests.Plugins)
	failed := stateInHost(in, &v1alpha1.Plugin{Name: "dice", Builtin: "dice"}, pods)
	if failed == nil || failed.Status != metav1.ConditionFalse || !strings.HasPrefix(failed.Message, "Secret host-nats ") {
		t.Errorf("the plugin that fails is %+v, want one that names the Secret", failed)
	}
	works := stateInHost(in, &v1alpha1.Plugin{Name: "trivia", Builtin: "trivia"}, pods)
	if works == nil || works.Status != metav1.ConditionTrue {
		t.Errorf("the plugin that works is %+v", works)
	}
	crashes := conditionFalse(v1alpha1.ReasonCrashLoop, report.Message)
	if own := stateInHost(in, &v1alpha1.Plugin{Name: "trivia", Builtin: "trivia"}, crashes); own != nil {
		t.Errorf("of pods that crash, the plugin is %+v", own)
	}
}

// askAgain makes the operator forget what a pod has reported, so that it is asked before a minute has passed.
func askAgain(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	rig.operator.probes.endReconcile(client.ObjectKeyFromObject(bot))
	reconcileOnce(t, bot)
}

// That NATS does not enforce the grants prevents no command. Somebody has to know of it all the same.
func TestPermissionsThatAreNotEnforcedAreNamed(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	report := *made.process.report.Load()
	report.Checks = slices.Clone(report.Checks)
	check := &report.Checks[len(report.Checks)-1]
	check.Reason, check.Message = status.ReasonPermissionsNotEnforced, "the NATS server has no users"
	made.process.report.Store(&report)
	askAgain(t, made.RoseyBot)
	waitExpected(t, made.RoseyBot, expected{
		v1alpha1.ConditionPluginsAvailable, "True", "PermissionsNotEnforced",
		"2 plugins are available; the NATS server has no users",
	})
}

// An override that is spelled in another way protects nothing: somebody who denies a command has to know.
func TestOverridesThatAreAboutNothingAreNamed(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	made.process.report.Store(withUnusedOverride(*made.process.report.Load()))
	askAgain(t, made.RoseyBot)
	waitExpected(t, made.RoseyBot, expected{
		v1alpha1.ConditionPluginsAvailable, "True", "OverridesUnused",
		"2 plugins are available; overrides that are about no command: rol",
	})
}

// withUnusedOverride returns the report of a bot with an override that is about no command.
func withUnusedOverride(report status.Report) *status.Report {
	report.Checks = slices.Clone(report.Checks)
	check := &report.Checks[len(report.Checks)-1]
	check.Reason, check.Message = status.ReasonOverridesUnused, "overrides that are about no command: rol"
	return &report
}

// Without plugins there is no condition about them.
func TestOverridesThatAreAboutNothingAreNamedWithoutPlugins(t *testing.T) {
	without := newBot(newNamespace(t))
	create(t, without)
	rollOut(t, without)
	process := startProcess(t, *withUnusedOverride(withPlugins(t, without)))
	newPod(t, without, manifests.Database, runningPod("127.0.0.1", true))
	newPod(t, without, manifests.Bot, runningPod(process.ip, true))
	waitExpected(t, without,
		expected{v1alpha1.ConditionBotAvailable, "True", v1alpha1.ReasonAvailable, "; overrides that are about no command: "},
		expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
}

// The kubelet takes up to two minutes to bring the bot a change. Until then, nobody may believe that it is in force.
func TestPluginsAreAvailableWhenTheBotHasReadTheChange(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	bot := made.RoseyBot
	change(t, bot, func() {
		bot.Spec.Plugins[1].Grants = &v1alpha1.PluginGrants{Say: true}
		bot.Spec.Commands.Overrides = []v1alpha1.CommandOverride{{Command: "roll", Disabled: true}}
	})
	rollOut(t, bot)
	waitExpected(t, bot,
		expected{v1alpha1.ConditionPluginsAvailable, "False", v1alpha1.ReasonProgressing, "has not read the last change"},
		expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, ""})
	report := withPlugins(t, bot, made.process.report.Load().Plugins...)
	made.process.report.Store(&report)
	waitCondition(t, bot, v1alpha1.ConditionPluginsAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)

	report = withPlugins(t, bot, report.Plugins...)
	report.LiveFiles = nil
	made.process.report.Store(&report)
	askAgain(t, bot)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionPluginsAvailable, "False", v1alpha1.ReasonProgressing, "does not report which plugins it knows",
	})
}

// templates returns hashes of the pod templates of the Deployments of a RoseyBot.
func templates(t *testing.T, bot *v1alpha1.RoseyBot) map[string]string {
	t.Helper()
	found := map[string]string{}
	for key, object := range liveObjects(t, bot) {
		if workload, isDeployment := object.(*appsv1.Deployment); isDeployment {
			found[key.Name] = manifests.Hash(workload.Spec.Template)
		}
	}
	return found
}

// A change of one plugin replaces the pods of that one alone, and settings replace none: the processes read them.
func TestAChangeOfAPluginLeavesTheBotAndOtherPluginsAlone(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	bot := made.RoseyBot
	for name, test := range map[string]struct {
		change func(spec *v1alpha1.RoseyBotSpec)
		rolled string
	}{
		"settings": {change: func(spec *v1alpha1.RoseyBotSpec) {
			spec.Plugins[0].Config = map[string]v1alpha1.PluginSetting{"maxDice": "9"}
			spec.Plugins[1].Config = map[string]v1alpha1.PluginSetting{"city": "Rome"}
		}},
		"grants": {change: func(spec *v1alpha1.RoseyBotSpec) {
			spec.Plugins[1].Grants = &v1alpha1.PluginGrants{Queue: true}
		}},
		"commands": {change: func(spec *v1alpha1.RoseyBotSpec) { spec.Commands.Prefix = "." }},
		"image": {
			change: func(spec *v1alpha1.RoseyBotSpec) { spec.Plugins[1].Image = testImage + "2" },
			rolled: "movienight-weather-plugin",
		},
		"environment of the host": {
			change: func(spec *v1alpha1.RoseyBotSpec) {
				ref := &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "key"}}
				spec.PluginHost.EnvFrom = []corev1.EnvFromSource{{SecretRef: ref}}
			},
			rolled: "movienight-plugins",
		},
		"another built-in one": {change: func(spec *v1alpha1.RoseyBotSpec) {
			spec.Plugins = append(spec.Plugins, v1alpha1.Plugin{Name: "luck", Builtin: "dice"})
		}},
	} {
		before := templates(t, bot)
		change(t, bot, func() { test.change(&bot.Spec) })
		waitReconciled(t, bot)
		for deployment, template := range templates(t, bot) {
			if rolled := template != before[deployment]; rolled != (deployment == test.rolled) {
				t.Errorf("%s: the pods of Deployment %s are replaced: %t", name, deployment, rolled)
			}
		}
	}
	live, err := get(t.Context(), &corev1.ConfigMap{}, bot.Namespace, "movienight-live")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := get(t.Context(), &corev1.ConfigMap{}, bot.Namespace, "movienight-weather-plugin")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(live.Data[config.PluginsFile], `"maxDice": "9"`) || settings.Data["city"] != "Rome" ||
		!strings.Contains(live.Data[config.CommandsFile], `"prefix": "."`) ||
		strings.Contains(live.Data[config.PluginsFile], "Rome") {
		t.Errorf("the files are %v and %v", live.Data, settings.Data)
	}
}

// A plugin that is removed loses all its objects, the others none.
func TestPluginsComeAndGo(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	bot := made.RoseyBot
	change(t, bot, func() { bot.Spec.Plugins = bot.Spec.Plugins[:1] })
	waitGone(t, &appsv1.Deployment{}, bot.Namespace, "movienight-weather-plugin")
	deletePods(t, bot, "plugin-weather")
	ofPlugin := []client.Object{
		&corev1.ConfigMap{}, &networkingv1.NetworkPolicy{}, &corev1.ServiceAccount{},
	}
	for _, object := range ofPlugin {
		waitGone(t, object, bot.Namespace, "movienight-weather-plugin")
	}
	waitReplicas(t, bot, "movienight-plugins", 1)

	change(t, bot, func() { bot.Spec.Suspend = new(true) })
	waitReplicas(t, bot, "movienight-plugins", 0)
	waitCondition(t, bot, v1alpha1.ConditionPluginsAvailable, metav1.ConditionFalse, v1alpha1.ReasonSuspended)

	change(t, bot, func() { bot.Spec.Plugins = nil })
	deletePods(t, bot, manifests.Plugins)
	for _, object := range []client.Object{&appsv1.Deployment{}, &networkingv1.NetworkPolicy{}} {
		waitGone(t, object, bot.Namespace, "movienight-plugins")
	}
	waitNoCondition(t, bot, v1alpha1.ConditionPluginsAvailable)
	waitPlugins(t, bot, nil)
	if _, err := get(t.Context(), &corev1.ConfigMap{}, bot.Namespace, "movienight-live"); err != nil {
		t.Errorf("the bot, which mounts it, has no list of plugins: %v", err)
	}
}

// A RoseyBot that is as its spec says causes no request to the API server, however many plugins it has.
func TestPluginsCauseNoRequestsWithoutAChange(t *testing.T) {
	made := createPlugged(t, newPluggedBot(newNamespace(t)))
	bot := made.RoseyBot
	waitReconciled(t, bot)
	compared := rig.compared.counter(bot.Namespace)
	before, sent := compared.Load(), len(writes(t, bot.Namespace))
	for range 3 {
		reconcileOnce(t, bot)
	}
	if got := compared.Load() - before; before == 0 || got != 0 {
		t.Errorf("reconciles without a change read %d objects field by field", got)
	}
	if got := len(writes(t, bot.Namespace)) - sent; got != 0 {
		t.Errorf("reconciles without a change wrote %d times", got)
	}
}

// A sharer has plugins of its own, with the NATS server and the prefix of the owner and its own channel.
func TestSharerHasPluginsOfItsOwn(t *testing.T) {
	namespace := newNamespace(t)
	owner, sharer := newBot(namespace), newSharer(namespace, "cartoons")
	owner.Spec.NATS.CredentialsSecretRef = &v1alpha1.ObjectRef{Name: "owner-nats"}
	sharer.Spec.Plugins = newPluggedBot("").Spec.Plugins
	create(t, sharer)
	waitExpected(t, sharer, expected{
		v1alpha1.ConditionPluginsAvailable, "False", v1alpha1.ReasonSharedOwnerMissing, "RoseyBot movienight does not exist",
	})
	create(t, owner)
	waitReplicas(t, sharer, "cartoons-weather-plugin", 1)
	deployment, err := get(t.Context(), &appsv1.Deployment{}, namespace, "cartoons-weather-plugin")
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{}
	for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
		variables[variable.Name] = variable.Value
	}
	if variables["ROSEY_NATS_SUBJECT_PREFIX"] != "rosey_"+namespace+"_movienight" ||
		variables["ROSEY_CHANNEL_NAME"] != "cartoons" || variables["ROSEY_NATS_URL"] != owner.Spec.NATS.URL {
		t.Errorf("the environment is %v", variables)
	}
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.Secret != nil && volume.Secret.SecretName == "owner-nats" {
			t.Error("the plugin has the credentials of the owner's bot")
		}
	}
}

// A plugin that writes, and whose writes all fail, is not available, although it answers.
func TestPluginsOfASharerNeedAServiceThatKeepsTheirKeys(t *testing.T) {
	owner, sharer := newBot("fun"), newSharer("fun", "cartoons")
	template := corev1.PodTemplateSpec{}
	for _, kept := range []string{"", "kept"} {
		template.Annotations = map[string]string{"rosey.dev/plugin-keys": kept}
		content, err := json.Marshal(template)
		if err != nil {
			t.Fatal(err)
		}
		owner.Status.Pinned = []v1alpha1.PinnedObject{{
			Kind: "Deployment", Name: manifests.Name(owner, manifests.Database), Content: string(content),
		}}
		found := outdatedService(statusInput{bot: sharer, observed: observed{Observed: manifests.Observed{Owner: owner}}})
		if isOutdated := found != nil && found.Reason == v1alpha1.ReasonServiceOutdated; isOutdated != (kept == "") {
			t.Errorf("with %q the condition is %v", kept, found)
		}
	}
}

// Plugins that are not available are looked at again, and the bot is asked, less often the longer it lasts.
func TestPluginsAreLookedAtAgain(t *testing.T) {
	now := time.Date(2026, time.January, 1, 0, 10, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		status metav1.ConditionStatus
		reason string
		ago    time.Duration
		want   time.Duration
		fresh  time.Duration
	}{
		"just changed":    {metav1.ConditionFalse, v1alpha1.ReasonProgressing, 0, minPollInterval, 0},
		"for ten seconds": {metav1.ConditionFalse, "PluginAbsent", 10 * time.Second, 5 * time.Second, 0},
		"for ten minutes": {metav1.ConditionFalse, "PluginAbsent", 10 * time.Minute, maxPollInterval, 0},
		"suspended":       {metav1.ConditionFalse, v1alpha1.ReasonSuspended, 0, 0, readyPollInterval},
		"available":       {metav1.ConditionTrue, v1alpha1.ReasonAvailable, 0, 0, readyPollInterval},
	} {
		t.Run(name, func(t *testing.T) {
			bot, next := newPluggedBot("fun"), v1alpha1.RoseyBotStatus{}
			for kind, one := range map[string]metav1.Condition{
				v1alpha1.ConditionReady:            {Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonScaledToZero},
				v1alpha1.ConditionPluginsAvailable: {Status: test.status, Reason: test.reason},
			} {
				one.Type, one.LastTransitionTime = kind, metav1.NewTime(now.Add(-test.ago))
				meta.SetStatusCondition(&next.Conditions, one)
			}
			bot.Status = next
			_, fresh := wantsReport(bot, manifests.Bot, true)
			if got := pollInterval(bot, next, now); got != test.want || fresh != test.fresh {
				t.Errorf("repeated after %s with a report of at most %s, want %s and %s", got, fresh, test.want, test.fresh)
			}
		})
	}
}
