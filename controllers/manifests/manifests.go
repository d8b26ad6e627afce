// Package manifests says which objects a RoseyBot needs. Its functions are pure: a RoseyBot and Params in, desired
// objects out, without client, clock or logger.
package manifests

import (
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// Params is what the desired objects depend on beside the RoseyBot.
type Params struct {
	// Image runs where the RoseyBot names none.
	Image string
	// OperatorNamespace is where the operator runs, which network policies let in. Empty: any namespace.
	OperatorNamespace string
}

// Set is all that a RoseyBot needs, in the order in which it is to be written: an object only needs what stands
// before it. Nothing of Database or Bot may run without all of Shared.
type Set struct {
	Shared   []client.Object
	Database []client.Object
	Bot      []client.Object
}

// Build returns the objects that a RoseyBot needs.
func Build(bot *v1alpha1.RoseyBot, params Params) (Set, error) {
	files, err := configFiles(bot)
	if err != nil {
		return Set{}, fmt.Errorf("making the configuration: %w", err)
	}
	var shared []client.Object
	if bot.Spec.ServiceAccountName == "" {
		shared = append(shared, serviceAccount(bot))
	}
	return Set{
		Shared: append(shared, configMap(bot, files)),
		Database: append(networkPolicy(bot, params, Database),
			claim(bot), service(bot, Database), databaseDeployment(bot, params, files)),
		Bot: append(networkPolicy(bot, params, Bot), service(bot, Bot), botDeployment(bot, params, files)),
	}, nil
}
