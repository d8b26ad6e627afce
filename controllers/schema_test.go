package controllers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/test/apiservertest"
)

// manifest returns a RoseyBot with a spec in YAML, as a user writes it.
func manifest(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.RoseyBotKind,
		"metadata": map[string]any{"namespace": namespace, "name": name},
	}}
	var content map[string]any
	if err := yaml.Unmarshal([]byte(spec), &content); err != nil {
		t.Fatal(err)
	}
	object.Object["spec"] = content
	return object
}

// checkSchema fails unless the API server refuses an object with an error that contains a text, or, if that is empty,
// accepts it.
func checkSchema(t *testing.T, object client.Object, want string) {
	t.Helper()
	switch err := rig.admin.Create(t.Context(), object, client.DryRunAll); {
	case want == "" && err != nil:
		t.Errorf("%s is refused: %v", object.GetName(), err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: error is %v, want it to contain %q", object.GetName(), err, want)
	}
}

const minimal = `{channel: {name: movienight}, nats: {url: "nats://n:4222"}}`

// Fields of a spec.
const (
	account  = "account: {username: R}"
	postgres = "database: {postgres: {urlSecretRef: {name: pg}}}"
	shared   = "database: {sharedFrom: {name: other}}"
)

// with returns the minimal spec with additional lines, each with a field. They replace fields of the same name.
func with(lines ...string) string { return without("", lines...) }

// without returns the minimal spec with additional lines and without one field.
func without(missing string, lines ...string) string {
	spec := map[string]string{"channel": "{name: movienight}", "nats": `{url: "nats://n:4222"}`}
	delete(spec, missing)
	for _, line := range lines {
		key, value, _ := strings.Cut(line, ": ")
		spec[key] = value
	}
	var text []string
	for key, value := range spec {
		text = append(text, key+": "+value)
	}
	return strings.Join(text, "\n")
}

func withSecret(ref string) string {
	return "account: {username: R, passwordSecretRef: {" + ref + "}}"
}

func TestSchemaAccepts(t *testing.T) {
	namespace := newNamespace(t)
	for name, spec := range map[string]string{
		"minimal":         minimal,
		"empty database":  with("database: {}"),
		"empty sqlite":    with("database: {sqlite: {}}"),
		"no class":        with(`database: {sqlite: {storageClassName: ""}}`),
		"server and port": with(`channel: {name: m, server: "http://cytube.demo.svc.cluster.local:8880"}`),
		"server IPv6":     with(`channel: {name: m, server: "http://[::1]:8880"}`),
		"longest channel": with("channel: {name: " + strings.Repeat("c", 30) + "}"),
		"longest account": with("account: {username: " + strings.Repeat("u", 20) + "}"),
		"nats list":       with(`nats: {url: "nats://a:4222, tls://b,wss://c.d:443"}`),
		"nats IPv6":       with(`nats: {url: "nats://[fd00::1]:4222"}`),
		"own prefix":      with(`nats: {url: "nats://n", subjectPrefix: rosey}`),
		"stopped":         with("replicas: 0"),
		"pod monitor":     with("monitoring: {podMonitor: Never}"),
		"pod metadata":    with("podMetadata: {labels: {example.com/team: fun}, annotations: {note: any text}}"),
		"no fsGroup":      with("podSecurityContext: {}"),
		"suspended":       with("suspend: true"),
		"claim deleted":   with("database: {sqlite: {retainPolicy: Delete}}"),
		"image":           with("image: registry.example:5000/rosey@sha256:abc"),
		"hot standby":     with("replicas: 2", account),
		"postgres":        with(postgres),
		"several":         with("database: {postgres: {urlSecretRef: {name: pg}}, replicas: 4, directFallback: true}"),
		"autoscaling":     with("database: {postgres: {urlSecretRef: {name: pg}}, autoscaling: {maxReplicas: 4}}"),
		"shared":          without("nats", shared),
		"shared standby":  without("nats", shared, "replicas: 2", account),
		"direct":          without("nats", "mode: Direct"),
		"direct stopped":  without("nats", "mode: Direct", "replicas: 0"),
		"direct postgres": without("nats", "mode: Direct", postgres),
		"jetstream":       with(`nats: {url: nats://n, jetStream: {mode: Always, replicas: 3, maxAge: 24h, maxBytes: 1Gi}}`),
		"messages":        with(`nats: {url: nats://n, jetStream: {maxMessageBytes: 1Mi, provisioning: Manual}}`),
		"service's login": with("database: {natsCredentialsSecretRef: {name: db}}"),
		"nats secrets":    with(`nats: {url: "tls://n", credentialsSecretRef: {name: c}, tlsSecretRef: {name: t}}`),
		"backup":          with("database: {backup: {every: 12h, keep: 30, claimName: backups}}"),
		"backup claim":    with("database: {backup: {claim: {size: 1Gi, storageClassName: slow}}}"),
		"backup default":  with(`database: {backup: {claim: {}, claimName: ""}}`),
		"retention": with("database: {retention: {chat: forever, userCounts: 1h, media: 2h, outbound: 1h30m, " +
			"people: 2160h}}"),
		"limits":       with("database: {limits: {textBytes: 1024, people: 10000000, kvBytes: 131072}}"),
		"longest name": with("database: {postgres: {urlSecretRef: {name: " + strings.Repeat("s", 253) + "}}}"),
	} {
		t.Run(name, func(t *testing.T) {
			checkSchema(t, manifest(t, namespace, "movienight", spec), "")
		})
	}
}

func TestSamplesAreAccepted(t *testing.T) {
	namespace := newNamespace(t)
	samples, err := filepath.Glob("../config/samples/*.yaml")
	if err != nil || len(samples) < 6 {
		t.Fatalf("samples are %v, %v", samples, err)
	}
	for _, sample := range samples {
		text, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(text, &object.Object); err != nil {
			t.Errorf("%s: %v", sample, err)
		}
		object.SetNamespace(namespace)
		strict := client.WithFieldValidation(rig.admin, "Strict")
		if err := strict.Create(t.Context(), object, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", sample, err)
		}
	}
}

// many returns a map with a number of entries.
func many(count int) string {
	var entries []string
	for i := range count {
		entries = append(entries, fmt.Sprintf("k%d: v", i))
	}
	return strings.Join(entries, ", ")
}

func TestSchemaRejectsWithAMessage(t *testing.T) {
	namespace := newNamespace(t)
	oneURL := "expected one URL or several separated by commas"
	tests := map[string]struct{ spec, want string }{
		"no channel":      {`{nats: {url: "nats://n"}}`, "spec.channel: Required value"},
		"no channel name": {with("channel: {}"), "spec.channel.name: Required value"},
		"no nats": {
			without("nats"),
			"nats: required in mode NATS, unless database.sharedFrom names the RoseyBot whose",
		},
		"channel name":       {with("channel: {name: movie night}"), "expected 1 to 30 letters, digits, '-' and '_'"},
		"channel name empty": {with(`channel: {name: ""}`), "expected 1 to 30 letters"},
		"channel name long":  {with("channel: {name: " + strings.Repeat("c", 31) + "}"), "expected 1 to 30 letters"},
		"line length":        {with("channel: {name: m, maxMessageLength: 39}"), "expected 0 or 40 to 1000"},
		"line length long":   {with("channel: {name: m, maxMessageLength: 1001}"), "less than or equal to 1000"},
		"server path":        {with("channel: {name: m, server: https://cytu.be/r/m}"), "expected http(s)://host[:port]"},
		"server slash":       {with("channel: {name: m, server: https://cytu.be/}"), "without a path"},
		"server scheme":      {with("channel: {name: m, server: cytu.be}"), "for example https://cytu.be"},
		"username":           {with("account: {username: Rosey the Robot}"), "expected 1 to 20 letters"},
		"no username":        {with("account: {passwordSecretRef: {name: s}}"), "spec.account.username: Required"},
		"secret name":        {with(withSecret("name: A_b")), "expected the name of an object: lower case letters"},
		"secret key":         {with(withSecret("name: s, key: a/b")), "expected a key of a Secret"},
		"pull secret twice":  {with("imagePullSecrets: [{name: a}, {name: a}]"), "Duplicate value"},
		"nats scheme":        {with(`nats: {url: "http://n"}`), oneURL},
		"nats no scheme":     {with(`nats: {url: "n:4222"}`), oneURL},
		"nats empty":         {with(`nats: {url: ""}`), oneURL},
		"nats last comma":    {with(`nats: {url: "nats://a,"}`), oneURL},
		"nats no comma":      {with(`nats: {url: "nats://anats://b"}`), oneURL},
		"nats port":          {with(`nats: {url: "nats://a:65536"}`), oneURL},
		"nats no port":       {with(`nats: {url: "nats://a:"}`), oneURL},
		"nats two ports":     {with(`nats: {url: "nats://n:4222:4222"}`), oneURL},
		"nats no element":    {with(`nats: {url: "nats://a,,nats://b"}`), oneURL},
		"nats space":         {with(`nats: {url: "nats://a b"}`), oneURL},
		"nats no brackets":   {with(`nats: {url: "nats://::1:4222"}`), "expected an IPv6 address in brackets"},
		"nats half brackets": {with(`nats: {url: "nats://[::1:4222"}`), oneURL},
		"nats password":      {with(`nats: {url: "nats://u:p@n:4222"}`), "expected no user or password in the URL"},
		"prefix of tokens":   {with(`nats: {url: "nats://n", subjectPrefix: a.b}`), "expected one token"},
		"prefix wildcard":    {with(`nats: {url: "nats://n", subjectPrefix: "a>"}`), "expected one token"},
		"prefix space":       {with(`nats: {url: "nats://n", subjectPrefix: "a b"}`), "expected one token"},
		"prefix of letters":  {with(`nats: {url: "nats://n", subjectPrefix: "kin\u00f6/1"}`), "expected one token"},
		"prefix too long": {
			with(`nats: {url: "nats://n", subjectPrefix: ` + strings.Repeat("a", 129) + "}"), "may not be more than 128",
		},
		"prefix of the inbox": {with(`nats: {url: "nats://n", subjectPrefix: _INBOX}`), "expected one token"},
		"two anonymous bots": {
			with("replicas: 2"),
			"replicas: expected 0 or 1 without an account, because two anonymous bots",
		},
		"two direct bots": {
			without("nats", "mode: Direct", "replicas: 2", account),
			"replicas: expected 0 or 1 in mode Direct",
		},
		"two without JetStream": {
			with("replicas: 2", account, `nats: {url: "nats://n", jetStream: {mode: Never}}`),
			"replicas: expected 0 or 1 if nats.jetStream.mode is Never, because the leader election",
		},
		"minus one":         {with("replicas: -1"), "should be greater than or equal to 0"},
		"eleven bots":       {with("replicas: 11", account), "should be less than or equal to 10"},
		"mode":              {with("mode: Dual"), `supported values: "NATS", "Direct"`},
		"direct with nats":  {with("mode: Direct"), "nats: expected none in mode Direct, which uses no NATS"},
		"shared with nats":  {with(shared), "nats: expected none together with database.sharedFrom"},
		"direct and shared": {without("nats", "mode: Direct", shared), "database: expected no sharedFrom, replicas"},
		"direct service": {
			without("nats", "mode: Direct", "database: {resources: {limits: {cpu: 1}}}"),
			"in mode Direct",
		},
		"shared with itself": {
			without("nats", "database: {sharedFrom: {name: movienight}}"),
			"expected the name of another RoseyBot",
		},
		"shared without name": {
			without("nats", "database: {sharedFrom: {}}"),
			"spec.database.sharedFrom.name: Required value",
		},
		"shared retention": {
			without("nats", "database: {sharedFrom: {name: o}, retention: {chat: 2h}}"),
			"retention, limits, resources, natsCredentialsSecretRef: expected none together with sharedFrom",
		},
		"two databases": {
			with("database: {sqlite: {}, postgres: {urlSecretRef: {name: pg}}}"),
			"expected at most one of sqlite, postgres and sharedFrom",
		},
		"postgres without":    {with("database: {postgres: {}}"), "spec.database.postgres.urlSecretRef: Required value"},
		"several SQLite pods": {with("database: {replicas: 2}"), "replicas: more than 1 needs postgres, because only one"},
		"no service pod":      {with("database: {replicas: 0}"), "should be greater than or equal to 1"},
		"autoscaled SQLite":   {with("database: {autoscaling: {maxReplicas: 2}}"), "autoscaling: needs postgres"},
		"fallback to SQLite":  {with("database: {directFallback: true}"), "directFallback: needs postgres"},
		"minimum above maximum": {
			with("database: {postgres: {urlSecretRef: {name: pg}}, autoscaling: {minReplicas: 3, maxReplicas: 2}}"),
			"minReplicas: expected at most maxReplicas",
		},
		"shared limits": {
			without("nats", "database: {sharedFrom: {name: o}, limits: {kvKeys: 100}}"),
			"retention, limits, resources, natsCredentialsSecretRef: expected none together with sharedFrom",
		},
		"limit too low":   {with("database: {limits: {textBytes: 1023}}"), "should be greater than or equal to 1024"},
		"limit too high":  {with("database: {limits: {textBytes: 65537}}"), "should be less than or equal to 65536"},
		"limit as a size": {with("database: {limits: {kvBytes: 1Mi}}"), "must be of type integer"},
		"backup of PostgreSQL": {
			with("database: {postgres: {urlSecretRef: {name: pg}}, backup: {}}"), "backup: expected none together with postgres",
		},
		"backup often": {with("database: {backup: {every: 30m}}"), "expected a duration of at least 1h, for example 24h"},
		"backup never": {with("database: {backup: {keep: 0}}"), "greater than or equal to 1"},
		"backup claim": {with("database: {backup: {claimName: A/b}}"), "expected the name of a claim"},
		"backup claims": {
			with("database: {backup: {claim: {}, claimName: backups}}"), "expected at most one of claim and claimName",
		},
		"backup size":     {with(`database: {backup: {claim: {size: "0"}}}`), "expected a size greater than 0"},
		"backup class":    {with("database: {backup: {claim: {storageClassName: A}}}"), "name of a storage class"},
		"people briefly":  {with("database: {retention: {people: 59m}}"), "for example 150h, or forever"},
		"retention words": {with("database: {retention: {chat: a week}}"), "expected a duration of at least 1h"},
		"retention short": {with("database: {retention: {outbound: 59m}}"), "for example 150h, or forever"},
		"stream mode":     {with(`nats: {url: "nats://n", jetStream: {mode: Maybe}}`), `"Auto", "Always", "Never"`},
		"stream replicas": {with(`nats: {url: "nats://n", jetStream: {replicas: 6}}`), "less than or equal to 5"},
		"stream age":      {with(`nats: {url: "nats://n", jetStream: {maxAge: forever}}`), "expected a duration greater"},
		"stream bytes":    {with(`nats: {url: "nats://n", jetStream: {maxBytes: 1Ki}}`), "expected a size from 1Mi"},
		"stream message":  {with(`nats: {url: "nats://n", jetStream: {maxMessageBytes: 1Ki}}`), "expected a size from 16Ki"},
		"provisioning":    {with(`nats: {url: "nats://n", jetStream: {provisioning: Me}}`), `"Automatic", "Manual"`},
		"provisioning of nothing": {
			with(`nats: {url: "nats://n", jetStream: {mode: Never, provisioning: Manual}}`), "provisioning: expected Automatic",
		},
		"service's credentials": {
			with(`database: {natsCredentialsSecretRef: {name: ""}}`), "at least 1 chars long",
		},
		"service's credentials shared": {
			without("nats", "database: {sharedFrom: {name: other}, natsCredentialsSecretRef: {name: db}}"),
			"natsCredentialsSecretRef: expected none together with sharedFrom",
		},
		"service's credentials direct": {
			without("nats", "mode: Direct", "database: {natsCredentialsSecretRef: {name: db}}"),
			"natsCredentialsSecretRef in mode Direct",
		},
		"credentials":         {with(`nats: {url: "nats://n", credentialsSecretRef: {name: ""}}`), "at least 1 chars long"},
		"tls":                 {with(`nats: {url: "nats://n", tlsSecretRef: {name: A}}`), "expected the name of an object"},
		"image with space":    {with(`image: "a b"`), "expected an image reference without spaces"},
		"pull policy":         {with("imagePullPolicy: Sometimes"), `supported values: "Always", "IfNotPresent", "Never"`},
		"pod monitor":         {with("monitoring: {podMonitor: Always}"), `supported values: "Auto", "Never"`},
		"log level":           {with("logLevel: loud"), `supported values: "debug", "info", "warn", "error"`},
		"size":                {with("database: {sqlite: {size: big}}"), "expected a size greater than 0, for example 1Gi"},
		"size zero":           {with(`database: {sqlite: {size: "0"}}`), "expected a size greater than 0"},
		"operator label":      {with("podMetadata: {labels: {rosey.dev/roseybot: x}}"), "expected none of the labels"},
		"operator component":  {with("podMetadata: {labels: {app.kubernetes.io/name: x}}"), "expected none of the labels"},
		"operator annotation": {with("podMetadata: {annotations: {rosey.dev/x: x}}"), "expected none of the annotations"},
		"label key":           {with(`podMetadata: {labels: {"a b": x}}`), "expected keys of labels or annotations"},
		"label value":         {with(`podMetadata: {labels: {a: "x y"}}`), "expected a label's value"},
		"node label":          {with(`scheduling: {nodeSelector: {a/b/c: x}}`), "expected keys of labels"},
		"priority class":      {with(`scheduling: {priorityClassName: A}`), "expected the name of an object"},
		"service account":     {with(`serviceAccountName: a/b`), "expected the name of an object"},
		"update policy":       {with("updatePolicy: Never"), `supported values: "Manual", "Automatic"`},
		"variable twice":      {with("extraEnv: [{name: A}, {name: A}]"), "Duplicate value"},
		"31 annotations":      {with("podMetadata: {annotations: {" + many(31) + "}}"), "must have at most 30 items"},
		"retain policy":       {with("database: {sqlite: {retainPolicy: Keep}}"), `supported values: "Retain", "Delete"`},
		"storage class":       {with("database: {sqlite: {storageClassName: Fast}}"), "expected the name of a storage class"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			checkSchema(t, manifest(t, namespace, "movienight", test.spec), test.want)
		})
	}
}

func TestSchemaRejectsNames(t *testing.T) {
	namespace := newNamespace(t)
	for name, want := range map[string]string{
		"movie.night":           "metadata.name: expected no dots",
		strings.Repeat("n", 51): "metadata.name: expected at most 50 characters",
		strings.Repeat("n", 50): "",
	} {
		checkSchema(t, manifest(t, namespace, name, minimal), want)
	}
}

// The schema knows the spec before, not the claim. So the operator says what about a claim cannot change.
func TestSchemaAcceptsChanges(t *testing.T) {
	namespace := newNamespace(t)
	tests := map[string]struct{ before, after string }{
		"grow":             {with("database: {sqlite: {size: 1Gi}}"), with("database: {sqlite: {size: 2Gi}}")},
		"another notation": {with("database: {sqlite: {size: 1Gi}}"), with("database: {sqlite: {size: 1024Mi}}")},
		"explicit default": {minimal, with("database: {sqlite: {size: 1Gi}}")},
		"shrink":           {with("database: {sqlite: {size: 2Gi}}"), with("database: {sqlite: {size: 1Gi}}")},
		"shrink default":   {minimal, with("database: {sqlite: {size: 500Mi}}")},
		"shrink to none":   {with("database: {sqlite: {size: 2Gi}}"), minimal},
		"class changed": {
			with("database: {sqlite: {storageClassName: a}}"), with("database: {sqlite: {storageClassName: b}}"),
		},
		"class added":   {minimal, with("database: {sqlite: {storageClassName: b}}")},
		"class removed": {with("database: {sqlite: {storageClassName: a}}"), with("database: {}")},
		"to postgres":   {with("database: {sqlite: {size: 2Gi, storageClassName: a}}"), with(postgres)},
		"from postgres": {with(postgres), with("database: {sqlite: {size: 500Mi, storageClassName: a}}")},
		"to shared":     {with("database: {sqlite: {size: 2Gi}}"), without("nats", shared)},
		"to direct": {
			with("database: {sqlite: {size: 2Gi}}"),
			without("nats", "mode: Direct", "database: {sqlite: {size: 2Gi}}"),
		},
		"from direct": {without("nats", "mode: Direct"), minimal},
		"shrink to direct": {
			with("database: {sqlite: {size: 2Gi}}"), without("nats", "mode: Direct", "database: {sqlite: {size: 1Gi}}"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			name := strings.ReplaceAll(name, " ", "-")
			object := manifest(t, namespace, name, test.before)
			create(t, object)
			err := rig.admin.Patch(t.Context(), object, client.RawPatch(types.JSONPatchType, replaceSpec(t, test.after)))
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func replaceSpec(t *testing.T, spec string) []byte {
	t.Helper()
	content, err := yaml.YAMLToJSON([]byte(spec))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `[{"op": "replace", "path": "/spec", "value": %s}]`, content)
}

func TestSchemaDefaults(t *testing.T) {
	namespace := newNamespace(t)
	spec := with("account: {username: R, passwordSecretRef: {name: s}}", "database: {sqlite: {}}")
	object := manifest(t, namespace, "movienight", spec)
	if err := rig.admin.Create(t.Context(), object, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"channel":  map[string]any{"name": "movienight", "server": "https://cytu.be"},
		"account":  map[string]any{"username": "R", "passwordSecretRef": map[string]any{"name": "s"}},
		"nats":     map[string]any{"url": "nats://n:4222"},
		"database": map[string]any{"sqlite": map[string]any{"size": "1Gi", "retainPolicy": "Retain"}},
		"replicas": int64(1),
		"mode":     "NATS",
		"logLevel": "info", "updatePolicy": "Manual",
	}
	if diff := cmp.Diff(want, object.Object["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

// Client-side apply puts the whole object into an annotation, whose limit is 262,144 bytes.
func TestSchemaIsSmall(t *testing.T) {
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	objects, err := apiservertest.RenderChart(t.Context(), "--show-only", "templates/crd.yaml")
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	text, err := json.Marshal(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 200_000 {
		t.Errorf("the CRD has %d bytes", len(text))
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		t.Error(err)
	}
	if keep := crd.Annotations["helm.sh/resource-policy"]; keep != "keep" {
		t.Errorf("resource policy is %q, want keep", keep)
	}
}
