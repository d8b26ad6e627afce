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
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The release as which the chart is installed. Its name is also the name of the ServiceAccount.
const (
	Release   = "rosey-operator"
	Namespace = "rosey-system"
)

// images are the values without which the chart is not rendered. Nothing pulls these.
const images = "{image: {repository: rosey.example/operator}, runtime: {image: 'rosey.example/rosey:0.1.0'}}"

// RenderChart returns the objects that Helm would install. The arguments are additional arguments of `helm template`.
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
		append([]string{"template", Release, chart, "--namespace", Namespace, "--values", "-"}, arguments...)...)
	helm.Stdin = strings.NewReader(images) // whatever the arguments set comes after it
	helm.Stdout, helm.Stderr = &output, &problems
	if err := helm.Run(); err != nil {
		return nil, fmt.Errorf("helm template: %w: %s", err, problems.String())
	}
	return decodeAll(&output)
}

// readAll reads all files, so that `go test` does not use a cached result after one of them has changed: it does not
// know which files Helm reads.
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
			return nil, fmt.Errorf("decoding the rendered chart: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// chartDirectory returns the directory of the chart, which it looks for in the parents of the working directory.
func chartDirectory() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the chart: %w", err)
	}
	for {
		chart := filepath.Join(directory, "charts", "rosey-operator")
		if _, err := os.Stat(chart); err == nil {
			return chart, nil
		}
		parent := filepath.Dir(directory)
		if parent == directory {
			return "", errors.New("finding the chart: no parent of the working directory contains charts/rosey-operator")
		}
		directory = parent
	}
}

func operatorNamespace() client.Object {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   Namespace,
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
}
