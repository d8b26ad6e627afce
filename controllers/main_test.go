package controllers

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/apiservertest"
)

// rig is one API server with one running operator for all tests of the package. Each test has a namespace of its own.
var rig struct {
	admin      client.WithWatch
	operator   *Reconciler
	requests   *requestLog
	reconciles reconcileCounts
	compared   comparisons
	// config is the client configuration of the operator.
	config *rest.Config
	// port is the status port of pods. Each pod that needs one has an address of its own in 127.0.0.0/8.
	port int
}

// held has a function for each namespace whose pods do not answer before it returns.
var held sync.Map

const testImage = "rosey.example/rosey:test"

func TestMain(m *testing.M) {
	os.Exit(apiservertest.Run(m, NewScheme, func(ctx context.Context, server *apiservertest.Server) (int, error) {
		return runWithServer(ctx, m, server)
	}))
}

func runWithServer(ctx context.Context, m *testing.M, server *apiservertest.Server) (code int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	scheme, err := NewScheme()
	if err != nil {
		return 0, err
	}
	if rig.admin, err = client.NewWithWatch(server.Admin, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	manager, closePort, err := startOperator(ctx, server.Operator)
	if err != nil {
		return 0, err
	}
	defer closePort()
	stopped := make(chan error, 1)
	go func() { stopped <- manager.Start(ctx) }()
	if !manager.GetCache().WaitForCacheSync(ctx) {
		return 0, errors.New("the cache does not sync: a permission may be missing")
	}
	code = m.Run()
	if code == 0 && allTestsRun() {
		err = checkPermissions(ctx)
	}
	cancel()
	return code, errors.Join(err, <-stopped)
}

// startOperator returns the manager of an operator that uses the permissions of the chart's ServiceAccount. All its
// requests are recorded.
func startOperator(ctx context.Context, config *rest.Config) (manager ctrl.Manager, closePort func(), err error) {
	rig.requests = &requestLog{}
	config.Wrap(rig.requests.record)
	// Listening on one address reserves the port for the tests, which listen on others.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	address, _ := listener.Addr().(*net.TCPAddr)
	rig.port = address.Port
	scheme, err := NewScheme()
	if err != nil {
		return nil, nil, err
	}
	options := CacheOptions(nil)
	var others []fields.Selector // the namespaces of tests that run an operator of their own
	for _, namespace := range append([]string{
		upgradeNamespace, addedNamespace, unseenNamespace, frugalNamespace, restartNamespace, floodNamespace,
		refusedNamespace, starvedNamespace, turnsNamespace, haltNamespace, illNamespace, flapNamespace,
		stayingNamespace, refusingNamespace, momentNamespace, forgottenNamespace, laggingNamespace, deletingNamespace,
	}, tenantNamespaces...) {
		others = append(others, fields.OneTermNotEqualSelector("metadata.namespace", namespace))
	}
	options.DefaultFieldSelector = fields.AndSelectors(others...)
	manager, err = ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Cache:   options,
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, nil, err
	}
	rig.config = config
	rig.operator = New(manager, manifests.Params{Image: testImage}, rig.port)
	rig.operator.Client = rig.reconciles.client(rig.operator.Client)
	rig.compared.TypeConverter, rig.operator.Types = rig.operator.Types, &rig.compared
	rig.operator.probes.fetch = func(ctx context.Context, next probe) (status.Report, error) {
		if hold, found := held.Load(next.bot.Namespace); found {
			hold.(func(context.Context))(ctx)
		}
		if strings.HasPrefix(next.address, "http://127.0.0.1:") {
			return healthyReport(next.component), nil
		}
		return fetchReport(ctx, next)
	}
	// The tests' own RoseyBots share a server.
	rig.operator.Connections = ConnectionLimits{Default: 10_000, Servers: map[string]int{crowdedServer: 2}}
	unlimited := allowance{time.Microsecond, 1000}
	rig.operator.probes.limit = newLimiter(unlimited, unlimited)
	rig.operator.probes.firstLimit = newLimiter(unlimited, unlimited)
	rig.operator.statusWrites = newLimiter(unlimited, unlimited)
	rig.operator.eventReads, rig.operator.readEventsAfter = newLimiter(unlimited, unlimited), 0
	rig.operator.objectWrites = newLimiter(unlimited, unlimited)
	rig.operator.eventLimit = newLimiter(unlimited, unlimited)
	rig.operator.settleTime = 0
	return manager, func() { _ = listener.Close() }, rig.operator.SetupWithManager(ctx, manager)
}
