package main

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/streaming/pkg/httpstream"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
)

// right is a permission in the user's namespace, as a rule of a Role grants it, or in the whole cluster, as one of a
// ClusterRole does.
type right struct {
	verb, group, resource, subresource string
	clusterWide                        bool
}

// to returns the right to do something with a resource, or with RESOURCE/SUBRESOURCE, of the namespace.
func to(verb, group, resource string) right {
	resource, subresource, _ := strings.Cut(resource, "/")
	return right{verb: verb, group: group, resource: resource, subresource: subresource}
}

// The rights that several commands need.
var (
	getBots      = to("get", v1alpha1.GroupVersion.Group, botResource)
	listBots     = to("list", v1alpha1.GroupVersion.Group, botResource)
	listPods     = to("list", "", "pods")
	readLogs     = to("get", "", "pods/log")
	execInPods   = to("create", "", "pods/exec")
	forwardPorts = to("create", "", "pods/portforward")
)

// String returns the right as `kubectl auth can-i` takes it.
func (r right) String() string {
	text := r.verb + " " + r.resource
	if r.group != "" {
		text += "." + r.group
	}
	if r.subresource != "" {
		text += "/" + r.subresource
	}
	return text
}

// rule returns the rule of a Role that grants the right.
func (r right) rule() rbacv1.PolicyRule {
	resource := r.resource
	if r.subresource != "" {
		resource += "/" + r.subresource
	}
	return rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{resource}, Verbs: []string{r.verb}}
}

// missing returns those of some rights that the user does not have in a namespace, or in all for "".
func (c *cluster) missing(ctx context.Context, namespace string, rights []right) (missing []right, err error) {
	for _, one := range rights {
		namespace := namespace
		if one.clusterWide {
			namespace = metav1.NamespaceAll
		}
		review, err := c.kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx,
			&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Verb: one.verb, Group: one.group, Resource: one.resource, Subresource: one.subresource,
				},
			}}, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("asking the API server for your rights: %w", err)
		}
		if !review.Status.Allowed {
			missing = append(missing, one)
		}
	}
	return missing, nil
}

// explain returns the error of a request in the chosen namespace that needs rights: if some of them are missing, one
// that names them.
func (c *cluster) explain(ctx context.Context, err error, rights ...right) error {
	return c.explainIn(ctx, c.namespace, err, rights...)
}

func (c *cluster) explainIn(ctx context.Context, namespace string, err error, rights ...right) error {
	if !mayBeForbidden(err) {
		return exit.Failed(err)
	}
	missing, reviewErr := c.missing(ctx, namespace, rights)
	if reviewErr != nil || len(missing) == 0 {
		return exit.Failed(err)
	}
	return &rightsMissing{namespace: namespace, rights: missing}
}

// mayBeForbidden reports whether a request may have failed for want of a right. A connection that is to be upgraded, as
// for exec, fails without a status of the API server.
func mayBeForbidden(err error) bool {
	return apierrors.IsForbidden(err) || httpstream.IsUpgradeFailure(err) || strings.Contains(err.Error(), "forbidden")
}

// rightsMissing is the failure of a request for which the user has no right.
type rightsMissing struct {
	namespace string // empty: all namespaces
	rights    []right
}

// Error implements error.
func (r *rightsMissing) Error() string {
	where, flag := "in namespace "+r.namespace, " -n "+r.namespace
	switch {
	case r.rights[0].clusterWide:
		where, flag = "in the cluster", ""
	case r.namespace == "":
		where, flag = "in all namespaces", " -A"
	}
	texts := make([]string, 0, len(r.rights))
	for _, one := range r.rights {
		texts = append(texts, one.String())
	}
	return fmt.Sprintf("you lack the right to %s %s; `kubectl auth can-i %s%s` asks for it",
		strings.Join(texts, ", and to "), where, texts[0], flag)
}

// Unwrap is for the exit code: a right can be given.
func (r *rightsMissing) Unwrap() error { return exit.Failedf("forbidden") }
