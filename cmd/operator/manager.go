package main

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

func newManager(ctx context.Context, kubernetes *rest.Config, options options) (ctrl.Manager, error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, err
	}
	manager, err := ctrl.NewManager(kubernetes, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   controllers.CacheOptions(options.watchedNamespaces),
		Metrics:                 metricsserver.Options{BindAddress: options.metricsAddress},
		HealthProbeBindAddress:  options.healthAddress,
		LeaderElection:          options.leaderElect,
		LeaderElectionID:        "rosey-operator",
		LeaderElectionNamespace: options.namespace,
		// The process ends with the manager, so the next leader need not wait for the Lease to run out.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to the Kubernetes API: %w", err)
	}
	err = errors.Join(manager.AddHealthzCheck("ping", healthz.Ping), manager.AddReadyzCheck("ping", healthz.Ping))
	if err != nil {
		return nil, fmt.Errorf("adding the health checks: %w", err)
	}
	params := manifests.Params{Image: options.runtimeImage, OperatorNamespace: options.namespace}
	reconciler := controllers.New(manager, params, controllers.NewProber(config.HTTPPort))
	if err := reconciler.SetupWithManager(ctx, manager); err != nil {
		return nil, err
	}
	return manager, nil
}
