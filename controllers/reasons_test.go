package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// reasonsOf are the reasons of each check with which processes are not ready.
var reasonsOf = map[status.CheckName][]status.Reason{
	status.ChannelCheck: {
		status.ReasonServerUnreachable, status.ReasonChannelRefused, status.ReasonChannelPasswordWrong,
		status.ReasonLoginRefused, status.ReasonNameTaken, status.ReasonLoginLimited, status.ReasonConnectionLimited,
		status.ReasonKicked, status.ReasonBanned, status.ReasonDisconnected, status.ReasonDuplicateLogin,
		status.ReasonAccountPasswordAbsent, status.ReasonChannelPasswordAbsent, status.ReasonNoLeader,
		status.ReasonLockUnavailable, status.ReasonStarting, status.ReasonStopping,
	},
	status.NATSCheck: {
		status.ReasonNATSUnreachable, status.ReasonNATSRefused, status.ReasonNATSCredentialsAbsent,
		status.ReasonNATSPermissionMissing,
	},
	status.EventsCheck: {
		status.ReasonJetStreamMissing, status.ReasonStreamUnavailable, status.ReasonStreamMismatch,
		status.ReasonStreamCapturesRequests, status.ReasonSubjectConflict,
	},
	status.ServiceCheck: {status.ReasonServiceAbsent, status.ReasonChannelNotServed},
	status.StoreCheck: {
		status.ReasonStoreUnavailable, status.ReasonStoreFull, status.ReasonStoreNewer, status.ReasonStoreRefused,
		status.ReasonStoreURLAbsent, status.ReasonMigrationFailed, status.ReasonChannelOwned, status.ReasonChannelListInvalid,
		status.ReasonStoreURLInvalid, status.ReasonStoreUnsuitable, status.ReasonStoreMoved,
	},
}

// healthyReasons are the reasons with which processes are ready.
var healthyReasons = []status.Reason{
	status.ReasonReady, status.ReasonJoined, status.ReasonStandby, status.ReasonConnected, status.ReasonStreamBound,
	status.ReasonCoreOnly, status.ReasonStreamRefused, status.ReasonServiceAnswers, status.ReasonDirect,
	status.ReasonStoreOpen, status.ReasonPermissionsNotEnforced, status.ReasonPluginsInvalid, status.ReasonPluginAbsent,
	status.ReasonPluginConflict, status.ReasonPluginFailed, status.ReasonPluginBusy, status.ReasonPluginSettingsInvalid,
	status.ReasonOverridesUnused,
}

// A reason that nobody has classified would leave a RoseyBot in progress for ever, whatever somebody has to fix.
func TestEveryReasonHasOneClass(t *testing.T) {
	for name, found := range namedReasons(t, "../runtime/status/reasons.go", "../api/v1alpha1/conditions.go") {
		var classes []reasonClass
		for class, reasons := range reasonsOfClass {
			for _, reason := range reasons {
				if string(reason) == found {
					classes = append(classes, class)
				}
			}
		}
		if len(classes) != 1 || reasonClasses[found] != classes[0] {
			t.Errorf("%s has the classes %v, expected one", name, classes)
		}
	}
}

// A process that is not ready must not count as one that works, or that nobody asked for.
func TestNoReasonOfAProcessThatIsNotReadyIsHealthy(t *testing.T) {
	for _, reasons := range reasonsOf {
		for _, reason := range reasons {
			if hasSeverity(string(reason), healthy, requested) {
				t.Errorf("%s is no failure", reason)
			}
		}
	}
}

// namedReasons returns the values of the constants of Go files whose names begin with Reason, by name.
func namedReasons(t *testing.T, paths ...string) map[string]string {
	t.Helper()
	named := map[string]string{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, isSpec := node.(*ast.ValueSpec)
			if !isSpec || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
				return true
			}
			for i, value := range spec.Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Errorf("%s: %v", spec.Names[i], err)
				}
				named[path+" "+spec.Names[i].Name] = text
			}
			return true
		})
		if len(named) == 0 {
			t.Errorf("%s has no reasons", path)
		}
	}
	return named
}

// A new reason of package status must be added to the tables of this file, so that it is tested.
func TestTablesHaveEveryReason(t *testing.T) {
	known := map[string]bool{}
	for _, reasons := range reasonsOf {
		for _, reason := range reasons {
			known[string(reason)] = true
		}
	}
	for _, reason := range healthyReasons {
		known[string(reason)] = true
	}
	found := namedReasons(t, "../runtime/status/reasons.go")
	for name, reason := range found {
		if !known[reason] || !status.Reason(reason).Known() {
			t.Errorf("%s: %q is missing in the tables of this test or in known.go", name, reason)
		}
	}
	if len(found) != len(known) {
		t.Errorf("reasons.go has %d reasons, the tables have %d", len(found), len(known))
	}
}

// Each reason that a process reports becomes the reason of the conditions that depend on its check. A real API server
// accepts all of them.
func TestEveryReasonBecomesAReasonOfConditions(t *testing.T) {
	namespace := newNamespace(t)
	bots := map[status.Component]*v1alpha1.RoseyBot{}
	processes := map[status.Component]*process{}
	for component, mode := range map[status.Component]v1alpha1.Mode{
		status.BotComponent: v1alpha1.ModeDirect, status.DatabaseComponent: v1alpha1.ModeNATS,
	} {
		bot := newBot(namespace)
		bot.Name = string(component)
		if mode == v1alpha1.ModeDirect {
			toDirect(bot)
		}
		create(t, bot)
		rollOut(t, bot)
		bots[component] = bot
		processes[component] = startProcess(t, notReady(component, status.StoreCheck, status.ReasonStarting, "starting"))
		newPod(t, bot, component, runningPod(processes[component].ip, false))
		if component == status.DatabaseComponent {
			newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
		}
	}
	say := func(component status.Component, check status.CheckName, reason status.Reason, conditions ...string) {
		report := status.Report{Component: component, Reason: reason, Message: "the message of " + string(reason)}
		for name := range reasonsOf {
			one := status.Check{Name: name, OK: true, Reason: status.ReasonReady}
			if name == check {
				one = status.Check{Name: name, Reason: reason, Message: report.Message}
			}
			report.Checks = append(report.Checks, one)
		}
		processes[component].report.Store(&report)
		reconcileOnce(t, bots[component])
		for _, condition := range append(conditions, v1alpha1.ConditionReady) {
			waitExpected(t, bots[component], expected{condition, "False", string(reason), messageOf(reason)})
		}
	}
	for check, reasons := range reasonsOf {
		for _, reason := range reasons {
			switch check {
			case status.ChannelCheck:
				say(status.BotComponent, check, reason, v1alpha1.ConditionBotAvailable, v1alpha1.ConditionChannelJoined)
			case status.StoreCheck:
				say(status.BotComponent, check, reason, v1alpha1.ConditionBotAvailable, v1alpha1.ConditionDatabaseAvailable)
				say(status.DatabaseComponent, check, reason, v1alpha1.ConditionDatabaseAvailable)
			case status.ServiceCheck:
				say(status.BotComponent, check, reason, v1alpha1.ConditionBotAvailable)
			default:
				say(status.BotComponent, check, reason, v1alpha1.ConditionBotAvailable)
				say(status.DatabaseComponent, check, reason, v1alpha1.ConditionDatabaseAvailable)
			}
		}
	}
}

// messageOf returns the message of a condition with a reason. It names a Secret if the process can only name a file.
func messageOf(reason status.Reason) string {
	if reason == status.ReasonAccountPasswordAbsent {
		return "Secret rosey-account, key password: absent or empty"
	}
	return "the message of " + string(reason)
}
