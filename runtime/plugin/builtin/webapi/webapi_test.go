package webapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "hunter2"

func environment(name string) string {
	return map[string]string{"PLUGIN_HTTP_KEY": key, "PLUGIN_HTTP_LINE": key + "\n", "OTHER": "no"}[name]
}

// serve returns the URL of an API that ends with the test.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

// open opens a room with commands, by their names.
func open(t *testing.T, definitions map[string]string, options ...plugintest.Option) *plugintest.Room {
	t.Helper()
	for name, text := range definitions {
		options = append(options, plugintest.Setting("command."+name, text))
	}
	options = append(options, plugintest.Setting("allowPrivate", "true"))
	return plugintest.Open(t, newPlugin(environment), options...)
}

// The commands of docs/plugins.md, with an API of this test in the place of theirs.
func TestExamples(t *testing.T) {
	t.Parallel()
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Text   []string `json:"text"`
			Target string   `json:"target_lang"`
		}
		switch r.URL.Path {
		case "/weather":
			_, _ = fmt.Fprintf(w, `{"name":%q,"now":{"temp":21.50,"text":"sunny"}}`, r.URL.Query().Get("city"))
		case "/translate":
			_ = json.NewDecoder(r.Body).Decode(&body)
			_, _ = fmt.Fprintf(w, `{"translations":[{"text":%q}]}`, body.Target+": "+strings.Join(body.Text, "|"))
		case "/joke":
			_, _ = io.WriteString(w, "Why?\nBecause.\n")
		}
	})
	room := open(t, map[string]string{
		"weather": "url: " + api + "/weather?city={args}\nanswer: '{/name}: {/now/temp} °C, {/now/text}'\nusage: city",
		"translate": "url: " + api + "/translate\nbody: '{\"text\": [\"{args}\"], \"target_lang\": \"DE\"}'\n" +
			"answer: '{/translations/0/text}'",
		"joke": "{url: '" + api + "/joke', format: text}",
	})
	alice := room.As("alice", plugin.Guest)
	alice.Says("!weather São Tomé & Co").Expects(`^São Tomé & Co: 21\.50 °C, sunny$`)
	alice.Says("!weather").ExpectsWrong("^expected city$")
	alice.Says(`!translate "hi" \ {1}`).Expects(`^DE: "hi" \\ \{1\}$`)
	alice.Says("!joke").Expects("^Why\\?\nBecause\\.$")
}

// What people type must not change which part of the API is called, nor add parameters or headers.
func TestArgumentsAreEscaped(t *testing.T) {
	t.Parallel()
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		_, _ = fmt.Fprintf(w, `{"a":%q}`, r.URL.EscapedPath()+" "+q.Get("q")+" "+q.Get("who")+" "+q.Get("x")+
			r.Header.Get("X-Other"))
	})
	room := open(t, map[string]string{
		"a": "url: " + api + "/v1/{1}/end?q={args}&who={user}\nanswer: '{/a}'",
		"b": "url: " + api + "/v1/{1}{2}\nanswer: '{/a}'",
	})
	alice := room.As("alice", plugin.Guest)
	alice.Says("!a x?x=1&x=2#%2e y").Expects(`^v1/x%3Fx=1&x=2%23%252e/end x\?x=1&x=2#%2e y alice$`)
	for _, args := range []string{"../admin", "..", ".", `..\admin`, "a/b"} {
		alice.Says("!a " + args).ExpectsWrong("expected")
	}
	alice.Says("!b . .").ExpectsWrong("than dots")
	alice.Says("!a \u0000\u001b\u007f").ExpectsWrong("at least 1 words")
	alice.Says("!a " + strings.Repeat("x", 400)).ExpectsWrong("at most 320")
	alice.Says("!a x\r\nX-Other:y").Expects(`^v1/x/end x X-Other:y alice$`)
}

// A key comes from the environment alone, from variables of a fixed prefix, and goes to https or where the owner says.
func TestKeysComeFromTheEnvironmentAlone(t *testing.T) {
	t.Parallel()
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("k") != key || r.Header.Get("X-Key") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, r.URL.String())
			return
		}
		_, _ = io.WriteString(w, `{"a":"ok"}`)
	})
	definition := "url: " + api + "/?k={env:PLUGIN_HTTP_KEY}\nanswer: '{/a}'\n" +
		"headers: {X-Key: 'Bearer {env:PLUGIN_HTTP_LINE}'}"
	definitions := map[string]string{
		"good": definition, "wrong": strings.Replace(definition, "Bearer", "Basic", 1),
		"unset": strings.Replace(definition, "HTTP_KEY", "HTTP_UNSET", 1),
	}
	alice := open(t, definitions).As("alice", plugin.Guest)
	alice.Says("!good").Expects("^ok$")
	if answer := alice.Says("!wrong").ExpectsFailed("401: the key is missing"); strings.Contains(answer.Failed, key) {
		t.Error(answer.Failed)
	}
	alice.Says("!unset").ExpectsFailed("PLUGIN_HTTP_UNSET is not set")
	closed := plugintest.Open(t, newPlugin(environment), plugintest.Setting("command.good", definition))
	closed.As("alice", plugin.Guest).Says("!good").ExpectsFailed("https alone")
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	api := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	room := plugintest.Open(t, newPlugin(environment), plugintest.Setting("command.a", "url: "+api))
	room.As("alice", plugin.Guest).Says("!a").ExpectsFailed("in a private network")
}

func TestBadAnswersOfAnAPI(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"html": "<html>" + key + "</html>", "none": `{"b":1}`, "deep": strings.Repeat("[", 20_000), "list": `{"a":[1]}`,
		"null": `{"a":null}`, "large": `{"a":"` + strings.Repeat("x", 70_000) + `"}`, "empty": "",
		"command": `{"a":"/kick bob\n!say"}`,
		"control": `{"a":"\u001b[31m\u202eevil"}`, "long": `{"a":"` + strings.Repeat("word ", 300) + `"}`,
		"number": `{"a":1e400}`,
	}
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		switch name {
		case "missing":
			w.WriteHeader(http.StatusNotFound)
		case "busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "broken":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, key)
		case "slow":
			<-r.Context().Done()
		case "elsewhere":
			http.Redirect(w, r, "http://other.invalid/?k="+key, http.StatusFound)
		}
		_, _ = io.WriteString(w, answers[name])
	})
	room := open(t, map[string]string{"a": "url: " + api + "/{1}?k={env:PLUGIN_HTTP_KEY}\nanswer: '{/a}'"},
		plugintest.Setting("timeout", "300ms"))
	alice := room.As("alice", plugin.Guest)
	for _, name := range []string{"none", "null", "list", "missing"} {
		alice.Says("!a " + name).Expects(`^Nothing was found\.$`)
	}
	for name, want := range map[string]string{
		"html": "it is no JSON", "deep": "no JSON", "empty": "no JSON", "large": "too large", "busy": "429: it is asked too",
		"broken": "answers 500", "slow": "no answer in time", "elsewhere": "redirects to another host",
	} {
		if answer := alice.Says("!a " + name).ExpectsFailed(want); strings.Contains(answer.Failed, key) {
			t.Errorf("%s: %s", name, answer.Failed)
		}
	}
	alice.Says("!a command").Expects("^kick bob\nsay$")
	alice.Says("!a control").Expects("^\uFFFD\\[31m\uFFFDevil$")
	alice.Says("!a long").Expects("^(word ?)+\n(word ?)+ ?…$")
	alice.Says("!a number").Expects("^1e400$")
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                                          "url: expected https://host",
		"url: [":                                                    "expected YAML",
		"url: https://a.example\nextra: 1":                          "extra",
		"url: ftp://a.example/":                                     "url: expected",
		"url: https://{args}/":                                      "url: expected",
		"url: https://a.example{args}/":                             "url: expected",
		"url: https://u:p@a.example/":                               "url: expected",
		"url: https://a.example/#x":                                 "url: expected",
		"url: https://a.example/{0}":                                "placeholders",
		"url: https://a.example/{x}":                                "placeholders",
		"url: https://a.example/ x":                                 "placeholders",
		"url: https://a.example/{env:PATH}":                         "begins with PLUGIN_HTTP_",
		"url: https://a.example/{env:PLUGIN_HTTP_}":                 "begins with PLUGIN_HTTP_",
		"url: https://a.example\nmethod: PUT":                       "expected GET or POST",
		"url: https://a.example\nheaders: {Host: b.example}":        "headers",
		"url: https://a.example\nheaders: {\"X\\r\\nY\": b}":        "headers",
		"url: https://a.example\nheaders: {X: \"a\\nb\"}":           "headers",
		"url: https://a.example\nheaders: {X: '{env:PLUGIN_NATS}'}": "begins with PLUGIN_HTTP_",
		"url: https://a.example\nbody: '{\"a\": {args}}'":           "body: expected JSON",
		"url: https://a.example\nformat: xml":                       "expected json or text",
		"url: https://a.example\nformat: text\nanswer: '{/a}'":      "expected {} alone",
		"url: https://a.example\nlines: 6":                          "expected 1 to 5",
		"url: https://a.example\nnothing: /clear":                   "nothing: expected",
		"url: https://a.example\ncooldown: often":                   "cooldown: expected a duration",
		"url: https://a.example\nchannelCooldown: -1s":              "channelCooldown: expected",
		"url: https://a.example\nanswer: '{env:PLUGIN_HTTP_KEY}'":   "a key is not said",
		"url: https://a.example/{1}/{args}?k={env:PLUGIN_HTTP_K}\nbody: '{\"q\": \"{2}\"}'": "",
	} {
		_, err := parse(text)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && !strings.Contains(got, want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// One wrong command must not take the others away, and a change is seen without a restart.
func TestCommandsFollowTheSettings(t *testing.T) {
	t.Parallel()
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%q", r.URL.Path)
	})
	p := newPlugin(environment)
	room := plugintest.Open(t, p, plugintest.Setting("allowPrivate", "true"),
		plugintest.Setting("command.a", "url: "+api+"/1"), plugintest.Setting("command.Bad", "url: "+api),
		plugintest.Setting("command.b", "url: x"),
		plugintest.Setting("command.c", "{url: '"+api+"/3', rank: 2, aliases: [see], cooldown: 1m, usage: \"a\\nb\"}"),
		plugintest.Setting("command.d", "{url: '"+api+"/4', rank: 2, aliases: [see], cooldown: 1m, examples: ['', x]}"))
	alice, bob := room.As("alice", plugin.Guest), room.As("bob", plugin.Moderator)
	alice.Says("!a").Expects("^1$")
	alice.Says("!b").ExpectsRefused()
	alice.Says("!c").ExpectsRefused()
	alice.Says("!d").ExpectsRefused()
	bob.Says("!see").Expects("4$")
	if all := p.Commands(); len(all) != 2 || all[1].Cooldown.User != time.Minute || len(all[1].Examples) != 2 {
		t.Errorf("%+v", all)
	}
	room.Set("command.a", "url: "+api+"/other")
	room.Set("command.d", "")
	room.Pass(checkInterval)
	alice.Says("!a").Expects("other$")
	bob.Says("!see").ExpectsRefused()
}

func TestJSONPointers(t *testing.T) {
	t.Parallel()
	var document any
	text := `{"a":{"b":["x",{"":"empty","c/d":"slash","m~n":"tilde","~1":"both"}]},"t":true,"z":""}`
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{
		"/a/b/0": "x", "/a/b/1/": "empty", "/a/b/1/c~1d": "slash", "/a/b/1/m~0n": "tilde", "/a/b/1/~01": "both", "/t": "true",
		"": "", "/a": "", "/a/b/2": "", "/a/b/-1": "", "/a/b/01": "", "/a/b/x": "", "/t/x": "", "/z": "", "/": "",
	} {
		if got, exists := valueAt(document, pointer); got != want || exists != (want != "") {
			t.Errorf("%s: %q, %t", pointer, got, exists)
		}
	}
}
