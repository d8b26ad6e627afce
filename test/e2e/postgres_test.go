package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rosey.dev/rosey/api/v1alpha1"
)

const postgresImage = "rosey.local/postgres:e2e"

// Two services share one PostgreSQL database: every line is stored once, also when one's pod is deleted.
func TestTwoServicesShareAPostgreSQLDatabase(t *testing.T) {
	needLocalCluster(t)
	t.Parallel()
	startPostgres(t)
	channel := cytubeChannel("library")
	channel.join(t, "lena")
	bot := newBot("library")
	bot.Spec.Database = &v1alpha1.Database{
		Postgres: &v1alpha1.Postgres{URLSecretRef: v1alpha1.SecretKeyRef{Name: "postgres", Key: "url"}},
		Replicas: new(int32(2)),
	}
	create(t, bot)
	waitReady(t, "library")
	channel.script(t, 3)
	sameChat(t, "library", channel)

	pods, err := podsOf(t.Context(), "library")
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		if pod.Labels["app.kubernetes.io/component"] == "database" {
			kubectl(t, "delete", "pod", pod.Name, "--wait=false")
			break
		}
	}
	channel.script(t, 3)
	sameChat(t, "library", channel)
	waitReady(t, "library")
}

// postgresLoaded builds the image and loads it into the cluster, once for all tests.
var postgresLoaded = sync.OnceValue(func() error {
	folder, err := os.MkdirTemp("", "rosey-e2e-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	image := filepath.Join(folder, "postgres.tar")
	if _, err := localCluster("image-postgres", "--name-tag", postgresImage, "--output", image); err != nil {
		return err
	}
	_, err = localCluster("load-image", "--name", clusterName, image)
	return err
})

func loadPostgres(t *testing.T) {
	t.Helper()
	if err := postgresLoaded(); err != nil {
		t.Fatal(err)
	}
}

// startPostgres runs a PostgreSQL server in the demo's namespace, with its URL in the Secret postgres.
func startPostgres(t *testing.T) {
	t.Helper()
	loadPostgres(t)
	manifest, err := os.ReadFile("testdata/postgres.yaml")
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("THE_IMAGE", postgresImage, "THE_PASSWORD", rand.Text()).Replace(string(manifest))
	kubectlWith(t, filled, "apply", "-f", "-")
	eventually(t, readyLimit, "PostgreSQL is ready", func(ctx context.Context) error {
		pods, err := podsLabelled(ctx, namespace, "app", "postgres")
		if err != nil {
			return err
		}
		if len(pods) != 1 || len(pods[0].Status.ContainerStatuses) != 1 || !pods[0].Status.ContainerStatuses[0].Ready {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
}
