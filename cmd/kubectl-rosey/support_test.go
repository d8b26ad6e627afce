package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// secretText is in everything that must not be in an archive.
const secretText = "hush-hush"

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
		{Name: "dice", Builtin: "dice", Config: map[string]v1alpha1.PluginSetting{"webhook": pluginSetting("dice-setting")}},
	}
	spec.PluginHost = v1alpha1.PluginHost{
		NATSCredentialsSecretRef: ref("host-nats", "password"), EnvFrom: from("host-env"),
	}
	spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: string(secret("registry", "auth").Name)}}
	spec.ExtraEnv = []corev1.EnvVar{
		{Name: "HTTPS_PROXY", Value: "http://proxy-user:" + secretNamed("proxy") + "@proxy:3128"},
		{Name: "PLAIN", Value: secretNamed("plain")},
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
	}
	create(t, bot)
	bot.Status.Pinned = []v1alpha1.PinnedObject{{
		Kind: "Deployment", Name: "secretive-bot", Hash: "1", BuiltFrom: "1",
		Content: `{"spec":{"containers":[{"env":[{"name":"A","value":"` + secretNamed("pinned") + `"}]}]}}`,
	}}
	setReady(t, bot, metav1.ConditionFalse, "NATSUnreachable", "cannot reach nats://user:"+secretNamed("message")+"@nats")
	desired, err := manifests.Build(bot, manifests.Params{Image: "rosey:1"}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range desired {
		create(t, next.Object)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "secretive-bot-1", Labels: map[string]string{
		labelRoseyBot: bot.Name, labelComponent: string(status.BotComponent),
	}}, Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "bot", Image: "rosey:1", Env: bot.Spec.ExtraEnv},
		{Name: "mesh", Image: "mesh:1", Args: []string{"--token", secretNamed("argument")}},
	}}}
	create(t, pod)
	create(t, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "secretive-event"},
		InvolvedObject: corev1.ObjectReference{Namespace: films, Kind: "Pod", Name: "secretive-bot-1"},
		Message:        "started with " + secretNamed("plain"), Reason: "Started",
	})
}

// No secret is in the archive, wherever it is kept: in Secrets, in environment variables, in settings, or in what
// others have made of those.
func TestArchiveHasNoSecret(t *testing.T) {
	needServer(t)
	installSecretBot(t)
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	code, out, stderr := call(t, "support", "secretive", file)
	if code != exitClean || !strings.Contains(out, "wrote "+file) {
		t.Fatalf("exit code %d, %s%s", code, out, stderr)
	}
	files := unpack(t, file)
	for name, content := range files {
		if at := strings.Index(content, secretText); at >= 0 {
			t.Errorf("%s has a secret: %s", name, content[max(0, at-200):min(len(content), at+100)])
		}
	}
	for name, want := range map[string]string{
		"versions.txt": "kubectl-rosey ", "roseybot-secretive.yaml": "name: PLAIN\n    value: (left out)",
		"objects/deployments.yaml": "name: secretive-db", "objects/pods.yaml": "args: (left out)",
		"events.yaml":             "started with (left out)",
		"objects/configmaps.yaml": "subjectPrefix: rosey_films_secretive", "customresourcedefinition.yaml": "v1alpha1",
		"problems.txt": "",
	} {
		if content, isThere := files[name]; !isThere || !strings.Contains(strings.ReplaceAll(content, "  - ", "    "), want) {
			t.Errorf("%s: there: %t, want %q in\n%s", name, isThere, want, content)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the archive is %v: %v", info.Mode(), err)
	}
	code, _, stderr = call(t, "support", "secretive", file)
	if code != exitFailure || !strings.Contains(stderr, "exists") {
		t.Errorf("over a file that is there: exit code %d, %s", code, stderr)
	}
}

// unpack returns the files of an archive by their names in its directory.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
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

func TestPasswordsInTextsAreLeftOut(t *testing.T) {
	c := newCensor()
	c.object(map[string]any{"extraEnv": []any{
		map[string]any{"name": "A", "value": "long-secret"}, map[string]any{"name": "B", "value": "long-secret-2"},
		map[string]any{"name": "SHORT", "value": "true"},
	}})
	for text, want := range map[string]string{
		"nats://user:pass@nats:4222, x":       "nats://(left out)@nats:4222, x",
		"postgres://:p@ss/ and long-secret-2": "postgres://(left out)@ss/ and (left out)",
		"it is true that long-secret":         "it is true that (left out)",
		"https://example.org/a:b@c":           "https://example.org/a:b@c",
	} {
		if got := c.text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
