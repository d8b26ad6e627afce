package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What a webhook or a user has written would otherwise be in a span.
func TestSpanOfAReconcileHasOneOfAFewKinds(t *testing.T) {
	deployments, cause := schema.GroupResource{Group: "apps", Resource: "deployments"}, errors.New("a secret")
	for want, err := range map[string]error{
		"":          nil,
		"conflict":  apierrors.NewConflict(deployments, "movienight-bot", cause),
		"forbidden": apierrors.NewForbidden(deployments, "movienight-bot", cause),
		"invalid":   apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "movienight-bot", nil),
		"timeout":   apierrors.NewTimeoutError("a secret", 1),
		"canceled":  context.Canceled,
		"_OTHER":    cause,
	} {
		if err != nil {
			err = fmt.Errorf("applying: %w", err)
		}
		if got := failureKind(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
