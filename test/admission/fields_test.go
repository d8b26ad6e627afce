package admission

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/test/apiservertest"
)

// harmless are the fields of a spec that name no Secret, image, host or other object, and give the pods no permission.
var harmless = map[string]string{
	"channel.name":                         "a channel on a server that is limited",
	"account.username":                     "a login on the same server",
	"mode":                                 "a choice",
	"nats.subjectPrefix":                   "the NATS server decides what its user may do",
	"nats.jetStream.mode":                  "a choice",
	"nats.jetStream.provisioning":          "a choice",
	"nats.jetStream.maxAge":                "a time",
	"database.sqlite.storageClassName":     "quotas of the namespace limit storage classes",
	"database.sqlite.retainPolicy":         "a choice",
	"database.backup.every":                "a time",
	"database.backup.claim":                "a claim of its own; quotas of the namespace limit its class and size",
	"database.resources":                   "quotas of the namespace limit resources",
	"resources":                            "quotas of the namespace limit resources",
	"database.retention":                   "times",
	"updatePolicy":                         "a choice",
	"imagePullPolicy":                      "a choice",
	"scheduling.nodeSelector":              "labels of nodes give no permission, tolerations of taints do",
	"scheduling.affinity":                  "see nodeSelector",
	"scheduling.topologySpreadConstraints": "see nodeSelector",
	"monitoring.podMonitor":                "a choice",
	"telemetry.protocol":                   "a choice",
	"telemetry.samplingRatio":              "a number",
	"telemetry.resourceAttributes":         "texts in traces",
	"logLevel":                             "a choice",
	"commands":                             "what users of the channel can do there",
	"plugins.name":                         "a name",
	"plugins.builtin":                      "a choice",
	"plugins.config":                       "settings; where built-in plugins connect to, their egress limits",
	"plugins.grants":                       "what a plugin can do in the channel",
	"plugins.resources":                    "quotas of the namespace limit resources",
	"plugins.probes":                       "a choice",
	"pluginHost.resources":                 "quotas of the namespace limit resources",
	"pluginHost.envFrom":                   "the operator puts a prefix before names of variables: see FuzzBuild",
	"web.people":                           "a choice",
	"web.basePath":                         "a part of addresses in pages",
	"web.allowFrom":                        "opens the pages alone, as an Ingress of the namespace does",
	"web.resources":                        "quotas of the namespace limit resources",
}

// Whoever adds a field to the API decides here whether the policy has to limit it.
func TestEveryFieldIsLimitedOrHarmless(t *testing.T) {
	needServer(t)
	limited, secrets := limitedFields(t)
	remaining := maps.Clone(harmless)
	count := 0
	walk(reflect.TypeFor[v1alpha1.RoseyBotSpec](), "", func(path string, field reflect.Type) {
		count++
		reason := covering(path, harmless)
		delete(remaining, reason)
		switch {
		case namesSecrets(field) && !secrets[path]:
			t.Errorf("spec.%s names a Secret: expected a rule in templates/admissionpolicy.yaml that asks whether the user "+
				"may get it", path)
		case namesMore(field) && !limited[path] && reason == "":
			t.Errorf("spec.%s names variables or objects that are no Secrets: expected another rule in "+
				"templates/admissionpolicy.yaml that limits these, or a line in harmless", path)
		case !isCovered(path, limited, secrets) && reason == "":
			t.Errorf("spec.%s: expected a rule in templates/admissionpolicy.yaml if the field names an image, a host or "+
				"another object, or gives pods a permission, and else a line in harmless", path)
		}
	})
	if count < 25 {
		t.Errorf("%d fields, expected more: does the walk reach them?", count)
	}
	for path := range remaining {
		t.Errorf("spec.%s is harmless, and no field of the API", path)
	}
}

// limitedFields returns the fields that the messages of the policy name: those with a rule of their own, and those with
// a check of Secrets.
func limitedFields(t *testing.T) (limited, secrets map[string]bool) {
	t.Helper()
	objects, err := apiservertest.RenderChart(t.Context(), values...)
	if err != nil {
		t.Fatal(err)
	}
	limited, secrets = map[string]bool{"networkPolicy.enabled": true}, map[string]bool{} // with egress
	name := regexp.MustCompile(`^spec\.([A-Za-z.]+): `)
	for _, object := range objects {
		if object.GetObjectKind().GroupVersionKind().Kind != "ValidatingAdmissionPolicy" {
			continue
		}
		rules, _, err := unstructured.NestedSlice(object.(*unstructured.Unstructured).Object, "spec", "validations")
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range rules {
			content := rule.(map[string]any)
			found := name.FindStringSubmatch(content["message"].(string))
			if found == nil {
				t.Fatalf("message %q: expected the name of a field", content["message"])
			}
			if strings.Contains(content["expression"].(string), "authorizer") {
				secrets[found[1]] = true
			} else {
				limited[found[1]] = true
			}
		}
	}
	return limited, secrets
}

// isCovered reports whether there is a rule of the policy for a field or a part of its path.
func isCovered(path string, rules ...map[string]bool) bool {
	return slices.ContainsFunc(rules, func(fields map[string]bool) bool { return covering(path, fields) != "" })
}

// covering returns the path itself or the part of it that is a key of fields, or "".
func covering[V any](path string, fields map[string]V) string {
	for {
		if _, is := fields[path]; is {
			return path
		}
		end := strings.LastIndex(path, ".")
		if end < 0 {
			return ""
		}
		path = path[:end]
	}
}

// walk visits the fields of the API's own types that are not numbers, sizes or switches. Types of Kubernetes and
// references to objects are visited as a whole.
func walk(of reflect.Type, prefix string, visit func(path string, field reflect.Type)) {
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		path := prefix + name
		element := field.Type
		isList := element.Kind() == reflect.Slice && element.Elem().PkgPath() == of.PkgPath() && !namesSecrets(element)
		for element.Kind() == reflect.Pointer || isList && element.Kind() == reflect.Slice {
			element = element.Elem()
		}
		switch {
		case element.Kind() == reflect.Bool && path != "networkPolicy.enabled", element.Kind() == reflect.Int32,
			element.Kind() == reflect.Int64, element == reflect.TypeFor[resource.Quantity]():
		case element.Kind() == reflect.Struct && !namesSecrets(element) &&
			element.PkgPath() == of.PkgPath() && element.NumField() > 0:
			walk(element, path+".", visit)
		default:
			visit(path, element)
		}
	}
}

// namesMore reports whether values of a type name more than Secrets: variables, whose names decide what they do, or
// ConfigMaps, whose keys do. A check of the Secrets alone leaves these to anybody.
func namesMore(of reflect.Type) bool {
	if of.Kind() == reflect.Slice || of.Kind() == reflect.Map || of.Kind() == reflect.Pointer {
		return namesMore(of.Elem())
	}
	return slices.Contains([]reflect.Type{
		reflect.TypeFor[corev1.EnvVar](), reflect.TypeFor[corev1.EnvFromSource](), reflect.TypeFor[corev1.Volume](),
	}, of)
}

// namesSecrets reports whether values of a type name Secrets, by themselves or as a part of their elements.
func namesSecrets(of reflect.Type) bool {
	if of.Kind() == reflect.Slice || of.Kind() == reflect.Map || of.Kind() == reflect.Pointer {
		return namesSecrets(of.Elem())
	}
	return slices.Contains([]reflect.Type{
		reflect.TypeFor[v1alpha1.ObjectRef](), reflect.TypeFor[v1alpha1.SecretKeyRef](),
		reflect.TypeFor[corev1.LocalObjectReference](), reflect.TypeFor[corev1.SecretReference](),
		reflect.TypeFor[corev1.SecretKeySelector](), reflect.TypeFor[corev1.EnvVar](),
		reflect.TypeFor[corev1.EnvFromSource](), reflect.TypeFor[corev1.Volume](),
	}, of)
}
