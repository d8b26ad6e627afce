package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

func TestStatusOfOne(t *testing.T) {
	needServer(t)
	bot := newBot("well")
	create(t, bot)
	createPod(t, "well", "well-bot-1", status.BotComponent)
	code, out, stderr := call(t, "status", "well")
	if code != exit.Failure || !strings.Contains(stderr, "well in namespace films is not ready: NotObserved") {
		t.Errorf("before the operator has seen it: exit code %d, %s%s", code, out, stderr)
	}
	setReady(t, bot, metav1.ConditionTrue, "Ready", "all is well")
	code, out, stderr = call(t, "status", "well")
	if code != exit.Clean || stderr != "" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{
		"well in namespace films is ready\n", "channel https://cytu.be/r/movies, mode NATS",
		"all is well", "well-bot-1", "not asked: forwarding port 8080",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("colors without a terminal: %q", out)
	}
	_, colored, _ := callWith(t, streams{colors: true}, "status", "well")
	if !strings.Contains(colored, "\x1b[32mready\x1b[0m") {
		t.Errorf("no colors in %q", colored)
	}
	if code, _, stderr := call(t, "status", "nobody"); code != exit.Failure ||
		stderr != "kubectl rosey: there is no RoseyBot nobody in namespace films\n" {
		t.Errorf("a RoseyBot that is not there: exit code %d, %s", code, stderr)
	}
}

func TestStatusAsDocument(t *testing.T) {
	needServer(t)
	bot := newBot("document")
	create(t, bot)
	setReady(t, bot, metav1.ConditionFalse, "LoginRefused", "a \x1b[31mred\x1b[0m message")
	for _, format := range []string{"json", "yaml"} {
		code, out, _ := call(t, "status", "document", "-o", format)
		if code != exit.Failure {
			t.Errorf("%s: exit code %d of a RoseyBot that is not ready", format, code)
		}
		var one botDetail
		if err := yaml.Unmarshal([]byte(out), &one); err != nil || one.Reason != "LoginRefused" || one.Name != "document" {
			t.Errorf("%s: %v, %+v", format, err, one)
		}
		if isJSON := json.Valid([]byte(out)); isJSON != (format == "json") {
			t.Errorf("%s: JSON: %t\n%s", format, isJSON, out)
		}
	}
	_, out, _ := callWith(t, streams{colors: true}, "status", "document")
	if strings.Contains(out, "\x1b[31mred") {
		t.Errorf("a message has colors of its own: %q", out)
	}
}

func TestStatusOfAll(t *testing.T) {
	needServer(t)
	bot := newBot("listed")
	create(t, bot)
	setReady(t, bot, metav1.ConditionTrue, "Ready", "")
	_, out, _ := call(t, "status")
	lines := strings.Split(out, "\n")
	if got := strings.Join(strings.Fields(lines[0]), " "); got != "NAME READY REASON CHANNEL BOT DB AGE" {
		t.Errorf("the header is %q", got)
	}
	if !slices.ContainsFunc(lines, func(line string) bool {
		return slices.Equal(strings.Fields(line)[:min(4, len(strings.Fields(line)))],
			[]string{"listed", "True", "Ready", "https://cytu.be/r/movies"})
	}) {
		t.Errorf("the list is\n%s", out)
	}
	_, out, _ = call(t, "status", "-A", "-o", "wide")
	header, _, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(header, "NAMESPACE") || !strings.Contains(header, "MODE") {
		t.Errorf("the wide header of all namespaces is %q", header)
	}
	for _, wrong := range []struct{ arguments, want string }{
		{"status -o xml", "expected text, wide, json or yaml"}, {"status listed -A", "--all-namespaces"},
		{"tail", "the NAME"}, {"restore listed --made x.db", "--made: \"x.db\", expected a path"},
		{"say listed", "TEXT"}, {"nothing", "unknown command"},
	} {
		code, _, stderr := call(t, strings.Fields(wrong.arguments)...)
		if code != exit.Usage || !strings.Contains(stderr, wrong.want) {
			t.Errorf("%s: exit code %d, %s, want %q", wrong.arguments, code, stderr, wrong.want)
		}
	}
}

func TestNamesAreCompleted(t *testing.T) {
	needServer(t)
	create(t, newBot("completed"))
	for _, arguments := range [][]string{{"status", ""}, {"tail", "comp"}, {"dead", "list", ""}} {
		_, out, _ := call(t, append([]string{"__complete"}, arguments...)...)
		if !strings.Contains(out, "completed\thttps://cytu.be/r/movies\n") {
			t.Errorf("%q completes\n%s", arguments, out)
		}
	}
	if _, out, _ := call(t, "__complete", "-n", ""); !strings.Contains(out, films) {
		t.Errorf("-n completes\n%s", out)
	}
}
