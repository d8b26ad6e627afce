// Package v1alpha1 contains the Kubernetes API group rosey.dev/v1alpha1, whose only resource is the RoseyBot.
//
// A RoseyBot is a chat bot in one channel of a CyTube site, with the database that stores what happens there. Its spec
// asks for a channel, an account, a connection to NATS and a database; the operator (package controllers) creates the
// Deployments and other objects that provide them. Its status counts the pods and explains the state of the bot in
// conditions.
//
// # Validation
//
// All rules are in the markers of the types, from which hack/generate.sh makes the CustomResourceDefinition. The API
// server rejects an invalid RoseyBot when it is written; there is no webhook. Most defaults are in the schema. Those of
// resources, of retention periods and of the stream's limits are applied by the operator or by the processes, so that a
// new version can change them for existing RoseyBots.
//
// # Compatibility
//
// The names of fields, condition types and reasons are API: users write them into manifests and alerts. The comments of
// fields are the descriptions that kubectl explain and docs/api.md show, and the comments of conditions and reasons
// are the descriptions in docs/api.md.
//
// +kubebuilder:object:generate=true
// +groupName=rosey.dev
package v1alpha1
