package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// fleet is a loopback whose RoseyBots get pods: the controllers of Kubernetes create them, and the benchmark acts as
// scheduler and kubelet.
type fleet struct {
	*loopback

	controllers *controllerManager
	kubelet     *kubelet
	seen        *observer
	processes   []*podProcess
	perBot      int // objects of a RoseyBot
}

// startFleet starts everything. behave returns how a pod behaves. The caller must close
// what it returns, even after an error.
func startFleet(
	ctx context.Context, samplesHeap bool, flapPause time.Duration, behave func(*corev1.Pod) behaviour,
) (f *fleet, err error) {
	f = &fleet{}
	if f.loopback, err = startLoopback(ctx, samplesHeap); err != nil {
		return f, err
	}
	if f.controllers, err = startControllerManager(ctx, f.api, f.dir); err != nil {
		return f, err
	}
	f.kubelet = newKubelet(f.admin, behave)
	f.kubelet.start(ctx, flapPause)
	f.seen, err = startObserver(ctx, f.api.Admin, f.admin.Scheme(), f.kubelet.see)
	return f, err
}

// createSample creates one RoseyBot, and counts its objects.
func (f *fleet) createSample(ctx context.Context) error {
	const namespace = "sample"
	if err := createNamespace(ctx, f.admin, namespace); err != nil {
		return err
	}
	mark := f.requests.mark()
	if err := createBots(ctx, f.admin, 0, 1, botsOf(namespace, "sample")); err != nil {
		return err
	}
	err := f.seen.waitBots(ctx, namespace, 1)
	f.perBot = f.requests.countCreations(mark)
	return err
}

// botsOf returns a function that returns RoseyBots of a namespace by their number.
func botsOf(namespace, name string) func(int) *v1alpha1.RoseyBot {
	return func(number int) *v1alpha1.RoseyBot { return newBot(namespace, fmt.Sprintf("%s-%d", name, number)) }
}

func (f *fleet) close() (err error) {
	if f.seen != nil {
		f.seen.close()
	}
	if f.kubelet != nil {
		f.kubelet.close()
	}
	if f.controllers != nil {
		err = f.controllers.close()
	}
	for _, process := range f.processes {
		err = errors.Join(err, process.close())
	}
	if f.loopback != nil {
		err = errors.Join(err, f.loopback.close())
	}
	return err
}

// startProcess starts a server that answers for the processes of pods with one report.
func (f *fleet) startProcess(ctx context.Context, report status.Report) (ip string, err error) {
	process, err := startPodProcess(ctx, len(f.processes), func(w http.ResponseWriter, _ *http.Request, _ int64) {
		_ = json.NewEncoder(w).Encode(report) // the client may be gone
	})
	if err != nil {
		return "", err
	}
	f.processes = append(f.processes, process)
	return process.ip, nil
}

// joined is the report of a bot that is in its channel.
var joined = status.Report{
	Component: status.BotComponent, Ready: true, Reason: status.ReasonReady,
	Checks: []status.Check{
		{Name: status.ChannelCheck, OK: true, Reason: status.ReasonJoined},
		{Name: status.NATSCheck, OK: true, Reason: status.ReasonConnected},
		{Name: status.EventsCheck, OK: true, Reason: status.ReasonStreamBound},
	},
}

// createBots creates RoseyBots with the numbers from first to last-1, a few at once.
func createBots(ctx context.Context, on client.Client, first, last int, newBot func(int) *v1alpha1.RoseyBot) error {
	return inParallel(last-first, func(i int) error {
		bot := newBot(first + i)
		if err := on.Create(ctx, bot); err != nil {
			return fmt.Errorf("creating %s: %w", bot.Name, err)
		}
		return nil
	})
}

// newcomers are how long RoseyBots took that were created one after another.
type newcomers struct {
	objects []time.Duration // from its creation until its objects existed
	ready   []time.Duration // from its pods being ready until it was
}

// measureNewcomers creates count RoseyBots one after another in a namespace in which nothing else changes.
func (f *fleet) measureNewcomers(ctx context.Context, namespace, name string, count int) (took newcomers, err error) {
	for i := range count {
		bot := newBot(namespace, fmt.Sprintf("%s-%d", name, i))
		mark, began := f.requests.mark(), time.Now()
		if err := f.admin.Create(ctx, bot); err != nil {
			return took, fmt.Errorf("creating %s: %w", bot.Name, err)
		}
		err := untilEvery(ctx, pollPause, "its objects are there", func() (bool, error) {
			return f.requests.countCreations(mark) >= f.perBot, nil
		})
		if err != nil {
			return took, err
		}
		took.objects = append(took.objects, time.Since(began))
		pods, ready, err := f.seen.readiness(ctx, client.ObjectKeyFromObject(bot))
		if err != nil {
			return took, err
		}
		took.ready = append(took.ready, ready.Sub(pods))
	}
	return took, nil
}

// waitUntilIdle waits until the operator has sent nothing but lease renewals for a time.
func (f *fleet) waitUntilIdle(ctx context.Context, quiet time.Duration) error {
	mark, since := f.requests.mark(), time.Now()
	return until(ctx, "the operator has nothing to do", func() (bool, error) {
		if len(f.requests.since(mark)) > 0 {
			mark, since = f.requests.mark(), time.Now()
		}
		return time.Since(since) > quiet, nil
	})
}
