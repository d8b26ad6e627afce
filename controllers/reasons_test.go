package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

// reasonsOf are the reasons that processes give, with the check they belong to. A process says them while it is not
// ready, except those of healthy.
var reasonsOf = map[config.CheckName][]config.Reason{
	config.ChannelCheck: {
		config.ReasonServerUnreachable, config.ReasonChannelRefused, config.ReasonChannelPasswordWrong,
		config.ReasonLoginRefused, config.ReasonNameTaken, config.ReasonLoginLimited, config.ReasonConnectionLimited,
		config.ReasonKicked, config.ReasonBanned, config.ReasonDisconnected, config.ReasonDuplicateLogin,
		config.ReasonAccountPasswordAbsent, config.ReasonChannelPasswordAbsent, config.ReasonNoLeader,
		config.ReasonLockUnavailable, config.ReasonStarting, config.ReasonStopping,
	},
	config.NATSCheck: {
		config.ReasonNATSUnreachable, config.ReasonNATSRefused, config.ReasonNATSCredentialsAbsent,
		config.ReasonNATSPermissionMissing,
	},
	config.EventsCheck: {
		config.ReasonJetStreamMissing, config.ReasonStreamUnavailable, config.ReasonStreamMismatch,
		config.ReasonStreamCapturesRequests, config.ReasonSubjectConflict,
	},
	config.ServiceCheck: {config.ReasonServiceAbsent},
	config.StoreCheck: {
		config.ReasonStoreUnavailable, config.ReasonStoreFull, config.ReasonStoreNewer, config.ReasonStoreRefused,
		config.ReasonStoreURLAbsent, config.ReasonMigrationFailed,
	},
}

var healthy = []config.Reason{
	config.ReasonReady, config.ReasonJoined, config.ReasonStandby, config.ReasonConnected, config.ReasonStreamBound,
	config.ReasonCoreOnly, config.ReasonServiceAnswers, config.ReasonDirect, config.ReasonStoreOpen,
}

// A reason that is new in the runtime is one that nobody thought of here.
func TestEveryReasonIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, reasons := range reasonsOf {
		for _, reason := range reasons {
			known[string(reason)] = true
		}
	}
	for _, reason := range healthy {
		known[string(reason)] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../runtime/config/report.go", nil, 0)
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
			if err != nil || !known[text] {
				t.Errorf("%s: %q is in no table of this test: %v", spec.Names[i], text, err)
			}
		}
		return true
	})
	if found != len(known) {
		t.Errorf("report.go has %d reasons, the tables have %d", found, len(known))
	}
}

// What a process says becomes the reason of the conditions that it is about, at a real API server.
func TestEveryReasonReachesTheConditions(t *testing.T) {
	namespace := newNamespace(t)
	bots := map[config.Component]*v1alpha1.RoseyBot{}
	processes := map[config.Component]*process{}
	for component, mode := range map[config.Component]v1alpha1.Mode{
		config.BotComponent: v1alpha1.ModeDirect, config.DatabaseComponent: v1alpha1.ModeNATS,
	} {
		bot := newBot(namespace)
		bot.Name = string(component)
		if mode == v1alpha1.ModeDirect {
			toDirect(bot)
		}
		create(t, bot)
		rollOut(t, bot)
		bots[component] = bot
		processes[component] = startProcess(t, saying(component, config.StoreCheck, config.ReasonStarting, "starting"))
		newPod(t, bot, manifests.Component(component), runningPod(processes[component].ip, false))
		if component == config.DatabaseComponent {
			newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
		}
	}
	say := func(component config.Component, check config.CheckName, reason config.Reason, conditions ...string) {
		report := config.Report{Component: component, Reason: reason, Message: "the words of " + string(reason)}
		for name := range reasonsOf {
			one := config.Check{Name: name, OK: true, Reason: config.ReasonReady}
			if name == check {
				one = config.Check{Name: name, Reason: reason, Message: report.Message}
			}
			report.Checks = append(report.Checks, one)
		}
		processes[component].report.Store(&report)
		pass(t, bots[component])
		for _, condition := range append(conditions, v1alpha1.ConditionReady) {
			waitExpected(t, bots[component], expected{condition, "False", string(reason), wordsOf(reason)})
		}
	}
	for check, reasons := range reasonsOf {
		for _, reason := range reasons {
			switch check {
			case config.ChannelCheck:
				say(config.BotComponent, check, reason, v1alpha1.ConditionBotAvailable, v1alpha1.ConditionChannelJoined)
			case config.StoreCheck:
				say(config.BotComponent, check, reason, v1alpha1.ConditionBotAvailable, v1alpha1.ConditionDatabaseAvailable)
				say(config.DatabaseComponent, check, reason, v1alpha1.ConditionDatabaseAvailable)
			case config.ServiceCheck:
				say(config.BotComponent, check, reason, v1alpha1.ConditionBotAvailable)
			default:
				say(config.BotComponent, check, reason, v1alpha1.ConditionBotAvailable)
				say(config.DatabaseComponent, check, reason, v1alpha1.ConditionDatabaseAvailable)
			}
		}
	}
}

// wordsOf are a Secret's name where a process can only name a file.
func wordsOf(reason config.Reason) string {
	if reason == config.ReasonAccountPasswordAbsent {
		return "Secret rosey-account, key password: absent or empty"
	}
	return "the words of " + string(reason)
}
