package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
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

// healthy are the reasons with which processes are ready.
var healthy = []status.Reason{
	status.ReasonReady, status.ReasonJoined, status.ReasonStandby, status.ReasonConnected, status.ReasonStreamBound,
	status.ReasonCoreOnly, status.ReasonStreamRefused, status.ReasonServiceAnswers, status.ReasonDirect,
	status.ReasonStoreOpen,
}

// mayPass are the reasons that may pass by themselves, however long they last: outages, and what a moderator may undo.
var mayPass = []status.Reason{
	status.ReasonServerUnreachable, status.ReasonLoginLimited, status.ReasonConnectionLimited, status.ReasonKicked,
	status.ReasonDisconnected, status.ReasonDuplicateLogin, status.ReasonLockUnavailable, status.ReasonNATSUnreachable,
	status.ReasonStreamUnavailable, status.ReasonStoreUnavailable,
}

// A reason that nobody has classified would leave a RoseyBot in progress for ever, whatever somebody has to mend.
func TestEveryReasonStallsOrMayPass(t *testing.T) {
	for _, reasons := range reasonsOf {
		for _, reason := range reasons {
			name := string(reason)
			stalls := stallingReasons[name] || deadlineReasons[name]
			passes := transientReasons[name] || requestedReasons[name] || slices.Contains(mayPass, reason)
			if stalls == passes {
				t.Errorf("%s stalls a RoseyBot: %v, may pass: %v; expected one of them", name, stalls, passes)
			}
		}
	}
}

// A new reason of package status must be added to the tables of this file, so that it is tested.
func TestTablesHaveEveryReason(t *testing.T) {
	known := map[string]bool{}
	for _, reasons := range reasonsOf {
		for _, reason := range reasons {
			known[string(reason)] = true
		}
	}
	for _, reason := range healthy {
		known[string(reason)] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../runtime/status/reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, isSpec := node.(*ast.ValueSpec)
		if !isSpec {
			return true
		}
		if name, isName := spec.Type.(*ast.Ident); !isName || name.Name != "Reason" {
			return true
		}
		for i, value := range spec.Values {
			found++
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil || !known[text] || !status.Reason(text).Known() {
				t.Errorf("%s: %q is missing in the tables of this test or in known.go: %v", spec.Names[i], text, err)
			}
		}
		return true
	})
	if found != len(known) {
		t.Errorf("reasons.go has %d reasons, the tables have %d", found, len(known))
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
