package apiservertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What the chart is installed as: the release's name is also that of the ServiceAccount.
const (
	Release   = "rosey-operator"
	Namespace = "rosey-system"
)

// RenderChart returns the objects that Helm would install. Arguments are those of `helm template`.
func RenderChart(ctx context.Context, arguments ...string) ([]client.Object, error) {
	chart, err := chartDirectory()
	if err != nil {
		return nil, err
	}
	if err := readAll(chart); err != nil {
		return nil, err
	}
	var output, problems bytes.Buffer
	helm := exec.CommandContext(ctx, filepath.Join(os.Getenv(AssetsVariable), "helm"),
		append([]string{"template", Release, chart, "--namespace", Namespace}, arguments...)...)
	helm.Stdout, helm.Stderr = &output, &problems
	if err := helm.Run(); err != nil {
		return nil, fmt.Errorf("helm template: %w: %s", err, problems.String())
	}
	return decodeAll(&output)
}

// readAll lets `go test` know what a result depends on: what only Helm reads would not make a cached one old.
func readAll(directory string) error {
	err := filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the chart: %w", err)
	}
	return nil
}

func decodeAll(documents io.Reader) ([]client.Object, error) {
	var objects []client.Object
	decoder := utilyaml.NewYAMLOrJSONDecoder(documents, 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rendered chart: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// chartDirectory looks upwards from the test's folder.
func chartDirectory() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("looking for the chart: %w", err)
	}
	for {
		chart := filepath.Join(folder, "charts", "rosey-operator")
		if _, err := os.Stat(chart); err == nil {
			return chart, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("looking for the chart: no charts/rosey-operator above the test")
		}
		folder = parent
	}
}

func operatorNamespace() client.Object {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   Namespace,
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
}
