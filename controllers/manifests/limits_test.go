package manifests_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/config"
)

// A limit that the API server accepts and the database service does not would keep the service from starting.
func TestLimitsOfTheAPIAreThoseOfTheConfiguration(t *testing.T) {
	type bounds struct{ Minimum, Maximum, Default int64 }
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Database struct {
				Properties struct {
					Limits struct{ Properties map[string]bounds }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile("../../config/crd/bases/rosey.dev_roseybots.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	want, got := schema.Properties.Database.Properties.Limits.Properties, map[string]bounds{}
	for name, property := range spec.Properties["database"].Properties["limits"].Properties {
		got[name] = bounds{int64(*property.Minimum), int64(*property.Maximum), want[name].Default}
		if !strings.HasSuffix(property.Description, fmt.Sprintf("Defaults to %d.", want[name].Default)) {
			t.Errorf("%s: %s, want the default %d", name, property.Description, want[name].Default)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 10 {
		t.Errorf("limits (-configuration +API):\n%s", diff)
	}
}
