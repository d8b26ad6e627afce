package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// Errors that appear only at run time are reported in one line, the other components stay up, and nothing crash-loops.
func TestRuntimeErrorsAreReported(t *testing.T) {
	needCluster(t)
	createSecret(t, "wrong-password", "not the password")
	createSecret(t, "wrong-database", "postgres://rosey:secret@nowhere.demo.svc.cluster.local/rosey")
	tests := []struct {
		name      string
		change    func(*v1alpha1.RoseyBotSpec)
		condition string
		reason    status.Reason
		message   string
	}{
		{
			name:      "nats-unknown",
			change:    func(spec *v1alpha1.RoseyBotSpec) { spec.NATS.URL = "nats://nowhere.demo.svc.cluster.local:4222" },
			condition: v1alpha1.ConditionDatabaseAvailable,
			reason:    status.ReasonNATSUnreachable,
			message:   "nowhere.demo.svc.cluster.local",
		},
		{
			name: "password-wrong",
			change: func(spec *v1alpha1.RoseyBotSpec) {
				spec.Account = &v1alpha1.Account{
					Username:          "Rosey",
					PasswordSecretRef: &v1alpha1.SecretKeyRef{Name: "wrong-password", Key: "password"},
				}
			},
			condition: v1alpha1.ConditionChannelJoined,
			reason:    status.ReasonLoginRefused,
			message:   "password",
		},
		{
			name: "secret-missing",
			change: func(spec *v1alpha1.RoseyBotSpec) {
				spec.Account = &v1alpha1.Account{
					Username:          "Rosey",
					PasswordSecretRef: &v1alpha1.SecretKeyRef{Name: "made-later", Key: "password"},
				}
			},
			condition: v1alpha1.ConditionChannelJoined,
			reason:    status.ReasonAccountPasswordAbsent,
			message:   "made-later",
		},
		{
			name: "cytube-unknown",
			change: func(spec *v1alpha1.RoseyBotSpec) {
				spec.Channel.Server = "http://nowhere.demo.svc.cluster.local:8880"
			},
			condition: v1alpha1.ConditionChannelJoined,
			reason:    status.ReasonServerUnreachable,
			message:   "nowhere.demo.svc.cluster.local",
		},
		{
			name:      "image-unknown",
			change:    func(spec *v1alpha1.RoseyBotSpec) { spec.Image = "rosey.local/rosey:never-built" },
			condition: v1alpha1.ConditionBotAvailable,
			reason:    v1alpha1.ReasonImagePullFailed,
			message:   "rosey.local/rosey:never-built",
		},
		{
			name: "pg-unknown",
			change: func(spec *v1alpha1.RoseyBotSpec) {
				spec.Database = &v1alpha1.Database{Postgres: &v1alpha1.Postgres{
					URLSecretRef: v1alpha1.SecretKeyRef{Name: "wrong-database", Key: "password"},
				}}
			},
			condition: v1alpha1.ConditionDatabaseAvailable,
			reason:    status.ReasonStoreUnavailable,
			message:   "nowhere.demo.svc.cluster.local",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bot := newBot(test.name)
			test.change(&bot.Spec)
			create(t, bot)
			message := waitFor(t, test.name, test.condition, metav1.ConditionFalse, string(test.reason))
			if !strings.Contains(message, test.message) || strings.Contains(message, "\n") {
				t.Errorf("message is %q, want one line that names %q", message, test.message)
			}
			waitFor(t, test.name, v1alpha1.ConditionReady, metav1.ConditionFalse, string(test.reason))
			noRestarts(t, test.name)
		})
	}
}

func createSecret(t *testing.T, name, password string) {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		StringData: map[string]string{"password": password},
	}
	if err := cluster.client.Create(t.Context(), secret); err != nil {
		t.Fatalf("creating Secret %s: %v", name, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's context has ended
		defer cancel()
		if err := cluster.client.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
			t.Errorf("deleting Secret %s: %v", name, err)
		}
	})
}

// A Secret may be created after its RoseyBot: the bot becomes ready without a restart.
func TestASecretMayBeCreatedLater(t *testing.T) {
	needCluster(t)
	t.Parallel()
	bot := newBot("patient")
	bot.Spec.Account = &v1alpha1.Account{
		Username:          "Rosey",
		PasswordSecretRef: &v1alpha1.SecretKeyRef{Name: "patient-account", Key: "password"},
	}
	create(t, bot)
	waitFor(t, bot.Name, v1alpha1.ConditionReady, metav1.ConditionFalse, string(status.ReasonAccountPasswordAbsent))

	account := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: "rosey-account"}
	if err := cluster.client.Get(t.Context(), key, account); err != nil {
		t.Fatal(err)
	}
	createSecret(t, "patient-account", string(account.Data["password"]))
	waitReady(t, bot.Name)
	noRestarts(t, bot.Name)
}
