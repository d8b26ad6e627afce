package controllers

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"rosey.dev/rosey/api/v1alpha1"
)

const healthScript = "../docs/tasks/argocd-health.lua"

// argoCDHealth is how Argo CD reads what kstatus reads.
var argoCDHealth = map[kstatus.Status]string{
	kstatus.CurrentStatus: "Healthy", kstatus.InProgressStatus: "Progressing", kstatus.FailedStatus: "Degraded",
}

// healthOf returns the health that the documented script gives a RoseyBot. Argo CD runs it with the object in obj.
func healthOf(t *testing.T, bot *v1alpha1.RoseyBot) (health, message string) {
	t.Helper()
	encoded, err := json.Marshal(bot)
	if err != nil {
		t.Fatal(err)
	}
	var object any
	if err := json.Unmarshal(encoded, &object); err != nil {
		t.Fatal(err)
	}
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoFile(healthScript); err != nil {
		t.Fatal(err)
	}
	result, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the script returns %v", state.Get(-1))
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

// toLua returns a value of a JSON document as Argo CD passes it to a script.
func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	case bool:
		return lua.LBool(value)
	case []any:
		list := state.NewTable()
		for _, item := range value {
			list.Append(toLua(state, item))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

func TestArgoCDReadsARoseyBotWithoutStatus(t *testing.T) {
	bot := newBot("fun")
	bot.Generation = 1
	if health, message := healthOf(t, bot); health != "Progressing" || !strings.Contains(message, "not seen") {
		t.Errorf("health is %s: %s", health, message)
	}
}

func TestDocumentedScriptIsTheTestedOne(t *testing.T) {
	page, err := os.ReadFile("../docs/tasks/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(healthScript)
	if err != nil {
		t.Fatal(err)
	}
	indented := "    " + strings.ReplaceAll(strings.TrimSpace(string(script)), "\n", "\n    ")
	if !strings.Contains(string(page), indented) {
		t.Error("docs/tasks/gitops.md does not show the script")
	}
}
