package chart

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The API server accepts every object of the chart with strict field validation. Objects of the Prometheus operator's
// API are left out, because the server does not have it.
func TestAPIServerAcceptsEveryObject(t *testing.T) {
	needTools(t)
	for _, namespace := range []string{"rosey-system", "a"} {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		if err := server.admin.Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	for name, values := range map[string]string{
		"defaults": "replicas=1",
		"everything": "replicas=2,watchNamespaces={a},image.digest=" + digest + ",podLabels.team=films," +
			"podAnnotations.note=x,priorityClassName=high,nodeSelector.disk=fast,tolerations[0].operator=Exists," +
			"imagePullSecrets[0].name=pull,monitoring.dashboards.enabled=true,serviceAccount.annotations.note=x," +
			"monitoring.dashboards.annotations.grafana_folder=Rosey," +
			"admissionPolicy.enabled=true,admissionPolicy.namespaceSelector.matchLabels.team=films",
	} {
		t.Run(name, func(t *testing.T) {
			for title, object := range render(t, "--set", values) {
				if err := server.admin.Create(t.Context(), object, client.DryRunAll); err != nil {
					t.Errorf("%s: %v", title, err)
				}
			}
		})
	}
}
