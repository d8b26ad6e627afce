package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/status"
)

// secretText is in every secret that must not be in an archive, but in shortSecret and shortSetting.
const secretText = "hush-hush"

// shortSecret and shortSetting are secrets that are looked for as words only. The second one is written with escapes.
const (
	shortSecret  = "hu5h"
	shortSetting = `u"&5h`
)

func secretNamed(what string) string { return secretText + "-" + what }

// secretBot returns a RoseyBot in which every field is set that refers to a secret or may have one, and the Secrets to
// which it refers.
func secretBot() (*v1alpha1.RoseyBot, []client.Object) {
	var secrets []client.Object
	secret := func(name string, keys ...string) v1alpha1.ObjectRef {
		object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{}}
		for _, key := range keys {
			object.StringData[key] = secretNamed(name + "-" + strings.ReplaceAll(key, ".", "-"))
		}
		secrets = append(secrets, object)
		return v1alpha1.ObjectRef{Name: v1alpha1.ObjectName(name)}
	}
	key := func(name, key string) v1alpha1.SecretKeyRef {
		return v1alpha1.SecretKeyRef{Name: secret(name, key).Name, Key: key}
	}
	ref := func(name string, keys ...string) *v1alpha1.ObjectRef { return new(secret(name, keys...)) }
	from := func(name string) []corev1.EnvFromSource {
		return []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: string(secret(name, "TOKEN").Name)},
		}}}
	}
	bot := newBot("secretive")
	spec := &bot.Spec
	spec.Channel.PasswordSecretRef = new(key("channel", "password"))
	spec.Account = &v1alpha1.Account{Username: "Rosey", PasswordSecretRef: new(key("account", "password"))}
	spec.NATS.CredentialsSecretRef = ref("nats", "username", "password", "token", "nkey", "nats.creds")
	spec.NATS.TLSSecretRef = ref("nats-tls", "ca.crt", "tls.crt", "tls.key")
	spec.Database = &v1alpha1.Database{
		Postgres:                 &v1alpha1.Postgres{URLSecretRef: key("postgres", "url")},
		NATSCredentialsSecretRef: ref("db-nats", "password"),
	}
	spec.Web = &v1alpha1.Web{
		Enabled: new(true), TokensSecretRef: ref("web-tokens", "alice", "bob.commands"),
		NATSCredentialsSecretRef: ref("web-nats", "password"),
	}
	spec.Telemetry = &v1alpha1.Telemetry{
		Endpoint: "https://traces.example", HeadersSecretRef: new(key("traces", "headers")),
		TLSSecretRef: ref("traces-tls", "tls.key"),
	}
	spec.Plugins = []v1alpha1.Plugin{
		{
			Name: "weather", Image: "weather:1", NATSCredentialsSecretRef: ref("weather-nats", "password"),
			EnvFrom: from("weather-env"), Config: map[string]v1alpha1.PluginSetting{"key": pluginSetting("weather-setting")},
		},
		{Name: "dice", Builtin: "dice", Config: map[string]v1alpha1.PluginSetting{
			"webhook": pluginSetting("dice-setting"), "pin": shortSetting,
		}},
	}
	spec.PluginHost = v1alpha1.PluginHost{
		NATSCredentialsSecretRef: ref("host-nats", "password"), EnvFrom: from("host-env"),
	}
	spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: string(secret("registry", "auth").Name)}}
	spec.ExtraEnv = []corev1.EnvVar{
		{Name: "HTTPS_PROXY", Value: "http://proxy-user:" + secretNamed("proxy") + "@proxy:3128"},
		{Name: "PLAIN", Value: secretNamed("plain")},
		{Name: "PIN", Value: shortSecret},
		{Name: "WORDS", Value: secretNamed("words and more words")},
		{Name: "ADDRESS", Value: "https://user:password@api.example/?key=" + secretNamed("key")},
		{Name: "FROM_SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: string(secret("extra", "value").Name)}, Key: "value",
		}}},
	}
	return bot, secrets
}

func pluginSetting(what string) v1alpha1.PluginSetting {
	return v1alpha1.PluginSetting(secretNamed(what))
}

// Every field of a RoseyBot that refers to a Secret is set in secretBot: one that is added later has to be, too.
func TestEverySecretIsTried(t *testing.T) {
	bot, _ := secretBot()
	var unset []string
	var visit func(path string, value reflect.Value)
	visit = func(path string, value reflect.Value) {
		switch value.Kind() {
		case reflect.Pointer:
			if value.IsNil() {
				name := path[strings.LastIndex(path, ".")+1:]
				if strings.HasSuffix(name, "SecretRef") {
					unset = append(unset, path)
				}
				return
			}
			visit(path, value.Elem())
		case reflect.Struct:
			if !strings.HasPrefix(value.Type().PkgPath(), "rosey.dev/") {
				return
			}
			for i := range value.NumField() {
				visit(path+"."+value.Type().Field(i).Name, value.Field(i))
			}
		case reflect.Slice:
			if value.Len() > 0 {
				visit(path, value.Index(0))
			} else if name := path[strings.LastIndex(path, ".")+1:]; name == "EnvFrom" || name == "ExtraEnv" {
				unset = append(unset, path)
			}
		default:
		}
	}
	visit("spec", reflect.ValueOf(bot.Spec))
	if len(unset) > 0 {
		t.Errorf("these fields have no secret: %v", unset)
	}
}

// installSecretBot creates everything that there is of a RoseyBot with secrets in every place.
func installSecretBot(t *testing.T) {
	t.Helper()
	bot, secrets := secretBot()
	create(t, secrets...)
	bot.Annotations = map[string]string{
		"kubectl.kubernetes.io/last-applied-configuration": `{"value":"` + secretNamed("applied") + `"}`,
		"kapp.k14s.io/original":                            ` {"value":"` + secretNamed("kapp") + `"}`,
	}
	create(t, bot)
	bot.Status.Pinned = []v1alpha1.PinnedObject{{
		Kind: "Deployment", Name: "secretive-bot", Hash: "1", BuiltFrom: "1",
		Content: `{"spec":{"containers":[{"env":[{"name":"A","value":"` + secretNamed("pinned") + `"}]}]}}`,
	}}
	bot.Status.Plugins = []v1alpha1.PluginStatus{{
		Name: "weather", Reason: "CrashLoop", Message: "the plugin weather exited with code 1: " + secretNamed("last-line"),
	}}
	setReady(t, bot, metav1.ConditionFalse, "NATSUnreachable", "cannot reach nats://user:"+secretNamed("message")+"@nats")
	desired, err := manifests.Build(bot, manifests.Params{Image: "rosey:1"}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range desired {
		create(t, next.Object)
	}
	createSecretPods(t, bot)
	long := "a line of more than eighty characters, so that YAML breaks it somewhere in the middle of "
	for name, message := range map[string]string{
		"plain": "started with " + secretNamed("plain"), "words": long[:60] + secretNamed("words and more words"),
		"escaped":  `{"url":"https://user:password@api.example/?key=` + secretNamed("key") + `"}`,
		"redacted": `Get "https://user:***@api.example/?key=` + secretNamed("key") + `": EOF`,
		"short":    fmt.Sprintf(`pin=%s of {"setting":%q} after\n%s`, shortSecret, shortSetting, shortSecret),
	} {
		createEvent(t, "secretive-"+name, "secretive-bot-1", message)
	}
	createEvent(t, "secretive-gone", "secretive-bot-5f-x7", "a pod that is gone")
	createEvent(t, "secretive-night", "secretive-night-bot-1", "that of another RoseyBot, with "+secretNamed("other"))
}

// createSecretPods creates the pods of the bot and of a plugin, in which containers that are not Rosey's have secrets.
func createSecretPods(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	create(t, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "secretive-bot-5f", Labels: map[string]string{labelRoseyBot: bot.Name}},
		Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "bot", Image: "rosey:1"}}},
			},
		},
	})
	mesh := corev1.Container{
		Name: "mesh", Image: "mesh:1", Args: []string{"--token", secretNamed("argument")},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			Exec: &corev1.ExecAction{Command: []string{"curl", secretNamed("probe")}},
		}},
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"curl", secretNamed("hook")}},
		}},
	}
	for name, container := range map[string]string{"bot": "bot", "plugin-weather": "plugin"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "secretive-" + name + "-1", Labels: map[string]string{
			labelRoseyBot: bot.Name, labelComponent: name,
		}}, Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: container, Image: "rosey:1", Env: bot.Spec.ExtraEnv}, mesh,
		}}}
		create(t, pod)
		for _, one := range pod.Spec.Containers {
			message := "Traceback: KeyError: " + secretNamed("end-of-log")
			if one.Name == "bot" {
				message = "the bot says why"
			}
			ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: message}}
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: one.Name, Image: one.Image, ContainerID: "containerd://" + one.Name, RestartCount: 1,
				State: ended, LastTerminationState: ended,
			})
		}
		if err := admin.Status().Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
}

func createEvent(t *testing.T, name, pod, message string) {
	t.Helper()
	create(t, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": "events"}},
		InvolvedObject: corev1.ObjectReference{Namespace: films, Kind: "Pod", Name: pod},
		Message:        message, Reason: "Started",
	})
}

// No secret is in the archive, wherever it is kept: in Secrets, in environment variables, in settings, or in what
// others have made of those.
func TestArchiveHasNoSecret(t *testing.T) {
	needServer(t)
	installSecretBot(t)
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	code, out, stderr := call(t, "support", "secretive", file)
	if code != exit.Clean || !strings.Contains(out, "wrote "+file) {
		t.Fatalf("exit code %d, %s%s", code, out, stderr)
	}
	files := unpack(t, file)
	secret := regexp.MustCompile(secretText + "|" + shortSecret + `|u(\\\\*"|\\u0022)(&|\\*u0026)5h`)
	for name, content := range files {
		if at := secret.FindStringIndex(content); at != nil {
			t.Errorf("%s has a secret: %s", name, content[max(0, at[0]-200):min(len(content), at[1]+100)])
		}
	}
	for name, want := range map[string]string{
		"versions.txt": "kubectl-rosey ", "roseybot-secretive.yaml": "name: PLAIN\n    value: (left out)",
		"objects/deployments.yaml": "name: secretive-db", "objects/pods.yaml": "args: (left out)",
		"events.yaml":              "pin=(left out) of",
		"objects/replicasets.yaml": "name: secretive-bot-5f",
		"objects/configmaps.yaml":  "subjectPrefix: rosey_films_secretive", "customresourcedefinition.yaml": "v1alpha1",
		"problems.txt": "logs of container plugin of secretive-plugin-weather-1: left out",
	} {
		if content, isThere := files[name]; !isThere || !strings.Contains(strings.ReplaceAll(content, "  - ", "    "), want) {
			t.Errorf("%s: there: %t, want %q in\n%s", name, isThere, want, content)
		}
	}
	for name, want := range map[string]string{
		"events.yaml": "started with (left out)", "objects/pods.yaml": "the bot says why",
		"problems.txt": "logs of container mesh of secretive-bot-1: left out",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s: want %q in\n%s", name, want, files[name])
		}
	}
	if !strings.Contains(files["events.yaml"], "a pod that is gone") {
		t.Errorf("the event of a pod that is gone is missing:\n%s", files["events.yaml"])
	}
	if strings.Contains(files["events.yaml"], "secretive-night") {
		t.Errorf("events of another RoseyBot are in the archive:\n%s", files["events.yaml"])
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the archive is %v: %v", info.Mode(), err)
	}
	code, _, stderr = call(t, "support", "secretive", file)
	if code != exit.Failure || !strings.Contains(stderr, "exists") {
		t.Errorf("over a file that is there: exit code %d, %s", code, stderr)
	}
	t.Chdir(t.TempDir())
	code, out, stderr = call(t, "support", "secretive", "-")
	if files := unpackContent(t, []byte(out)); code != exit.Clean || files["versions.txt"] == "" {
		t.Errorf("to standard output: exit code %d, %s", code, stderr)
	}
}

// unpack returns the files of an archive by their names in its directory.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return unpackContent(t, content)
}

func unpackContent(t *testing.T, content []byte) map[string]string {
	t.Helper()
	compressed, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	files, packed := map[string]string{}, tar.NewReader(compressed)
	for {
		header, err := packed.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(packed)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		files[name] = string(text)
	}
}

// What a pod can make large is cut, and the archive says so.
func TestArchiveIsBounded(t *testing.T) {
	c := newCollector(nil, newBot("large"), supportOptions{})
	for i := range 20 {
		c.add(fmt.Sprintf("file-%d", i), make([]byte, maxSupportFile+1))
	}
	size := 0
	for _, file := range c.archive("large").files {
		if len(file.content) > maxSupportFile {
			t.Errorf("%s has %d bytes", file.name, len(file.content))
		}
		size += len(file.content)
	}
	if size > maxSupportFiles+10<<10 {
		t.Errorf("all files have %d bytes, expected at most %d", size, maxSupportFiles)
	}
	if !slices.ContainsFunc(c.problems, func(p string) bool { return strings.HasPrefix(p, "file-19: 4194305 bytes") }) {
		t.Errorf("the problems are %q", c.problems)
	}
}

// Whoever may create events in a namespace can neither fill the memory of who makes an archive nor hide others' events.
func TestManyLargeEventsHideNoOthers(t *testing.T) {
	needServer(t)
	bot := newBot("flooded")
	create(t, bot)
	large := strings.Repeat("x", 1_200_000)
	for i := range 16 {
		createEvent(t, fmt.Sprintf("flooded-%02d", i), "somebody", large)
	}
	t.Cleanup(func() {
		err := admin.DeleteAllOf(context.WithoutCancel(t.Context()), &corev1.Event{}, client.InNamespace(films),
			client.MatchingLabels{"test": "events"})
		if err != nil {
			t.Error(err)
		}
	})
	create(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "flooded-bot-1", Labels: map[string]string{labelRoseyBot: bot.Name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "bot", Image: "rosey:1"}}},
	})
	createEvent(t, "flooded-xx", "flooded-bot-1", "the event that matters")
	for i := range 8 {
		createEvent(t, fmt.Sprintf("flooded-y%d", i), "flooded-bot-1", large)
	}
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	if code, out, stderr := call(t, "support", "flooded", file); code != exit.Clean {
		t.Fatalf("exit code %d, %s%s", code, out, stderr)
	}
	files := unpack(t, file)
	if !strings.Contains(files["events.yaml"], "the event that matters") {
		t.Errorf("the event is missing in %.200s", files["events.yaml"])
	}
	if want := "events: more than 8388608 bytes"; !strings.Contains(files["problems.txt"], want) {
		t.Errorf("want %q in\n%s", want, files["problems.txt"])
	}
}

// What is cut off must not leave half a secret, which is not found.
func TestASecretAtTheEndOfAFileIsLeftOut(t *testing.T) {
	c := newCollector(nil, newBot("large"), supportOptions{})
	c.censor.remember(secretNamed("at-the-end"))
	line := "a line\n" + secretNamed("at-the-end")
	c.add("file", []byte(strings.Repeat("x", maxSupportFile-len("a line\n")-len(secretText))+line))
	log := strings.NewReader(strings.Repeat("x", maxSupportFile-len(secretText)-len("a line\n")) + line)
	if err := c.addStream("log", log); err != nil {
		t.Fatal(err)
	}
	for _, file := range c.archive("large").files {
		if strings.Contains(string(file.content), secretText) {
			t.Errorf("%s has half a secret", file.name)
		}
	}
	if len(c.problems) != 2 {
		t.Errorf("the problems are %q", c.problems)
	}
}

// Logs and errors write a value otherwise than the spec does: with escapes, line by line, or its beginning.
func TestAValueIsFoundAsLogsWriteIt(t *testing.T) {
	value := `"hush" & <hush> \ hush` + "\nthe second line, which is hushed up"
	long := strings.Repeat("hush ", 20)
	c := newCensor(false)
	c.object(map[string]any{"plugins": []any{map[string]any{"config": map[string]any{"a": value, "b": long}}}})
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var inLog bytes.Buffer
	slog.New(slog.NewJSONHandler(&inLog, nil)).Info("x", "value", value, "err", fmt.Errorf("%q is wrong", value))
	for _, text := range []string{
		value, string(encoded), inLog.String(), fmt.Sprintf("%q", value), status.OneLine(value, 400),
		fmt.Sprintf("%q, expected a number", plugin.Cut(long, 40)), strings.Split(value, "\n")[1],
	} {
		if got := c.text(text); strings.Contains(got, "hush") {
			t.Errorf("%s became %s", text, got)
		}
	}
}

// The end of a log that is not Rosey's is in the state of a RoseyBot, too.
func TestLastLinesOfForeignLogsAreLeftOut(t *testing.T) {
	for text, isForeign := range map[string]bool{
		"plugin a: the plugin a exited with code 1: hush":                   true,
		"the plugin a exited with code 9 (OOMKilled: its limit): hush":      true,
		"the container mesh in the pod of the bot exited with code 1: hush": true,
		"the bot exited with code 1: hush":                                  false,
	} {
		want := text
		if isForeign {
			want = strings.ReplaceAll(text, "hush", leftOut)
		}
		if got := newCensor(false).text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		if got := newCensor(true).text(text); got != text {
			t.Errorf("with --plugin-logs, %q became %q", text, got)
		}
	}
}

func TestPasswordsInTextsAreLeftOut(t *testing.T) {
	c := newCensor(false)
	c.object(map[string]any{"extraEnv": []any{
		map[string]any{"name": "A", "value": "long-secret"}, map[string]any{"name": "B", "value": "long-secret-2"},
		map[string]any{"name": "SHORT", "value": "true"},
		map[string]any{"name": "URL", "value": "nats://user:long-pass@secret-host"},
		map[string]any{"name": "HOOK", "value": "https://user:long-pass@hooks.example/long/secret"},
	}})
	for text, want := range map[string]string{
		"nats://user:pass@nats:4222, x":                   "nats://(left out)@nats:4222, x",
		"postgres://:p@ss/ and long-secret-2":             "postgres://(left out)@ss/ and (left out)",
		"postgres://u:p@ss@host/db?a=b@c":                 "postgres://(left out)@host/db?a=b@c",
		"at nats://user:long-pass@secret-host":            "at (left out)",
		"https://user:***@hooks.example/long/secret: EOF": "https://(left out)@(left out): EOF",
		"nats://a:p@h1,nats://token@h2":                   "nats://(left out)@h1,nats://(left out)@h2",
		"it is true that long-secret":                     "it is true that (left out)",
		"https://example.org/a:b@c":                       "https://example.org/a:b@c",
	} {
		if got := c.text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// A short value is found where it is a word, and not in other words. What is everywhere is no secret.
func TestShortValuesAreLeftOutAsWords(t *testing.T) {
	t.Parallel()
	c := newCensor(false)
	for _, value := range []string{"port", "1234", " p:w$ ", "größe", `a"b&`, "true", "Info", "abc", "1234567"} {
		c.remember(value)
	}
	for text, want := range map[string]string{
		"port":                           "(left out)",
		"port 1234, report 12345 x1234":  "(left out) (left out), report 12345 x1234",
		"1234567 1234":                   "(left out) (left out)",
		"my-port: my_port":               "my-(left out): my_port",
		`{"msg":"a\nport\u001b1234"}`:    `{"msg":"a\n(left out)\u001b(left out)"}`,
		"\x1b[31mport\x1b[0m":            "\x1b[31m(left out)\x1b[0m",
		"?a%3Dport&b=port%20":            "?a%3D(left out)&b=(left out)%20",
		"p:w$ xp:w$ p:w$y and p%3Aw%24":  "(left out) xp:w$ (left out)y and (left out)",
		"größe Übergröße größer":         "(left out) Übergröße größer",
		`a"b& a\"b& a\"b\u0026 a\\\"b&.`: "(left out) (left out) (left out) (left out).",
		"true info abc":                  "true info abc",
	} {
		if got := c.text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// A setting such as LOG_USER=rosey must not take the name from every line.
func TestNamesAndPortsOfRoseyAreNotLeftOut(t *testing.T) {
	t.Parallel()
	c := newCensor(false)
	for _, value := range []string{"rosey", "Rosey", "roseybots", " database ", "plugins", "nats", "8080", "a\nroseybot"} {
		c.remember(value)
	}
	text := "rosey.dev/v1alpha1 roseybots, roseybot-database: Rosey's plugins at nats:4222 and :8080"
	if got := c.text(text); got != text {
		t.Errorf("%q became %q", text, got)
	}
}
