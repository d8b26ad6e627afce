package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	clientexec "k8s.io/client-go/util/exec"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// remoteExit is the failure of a program in a pod, which has written itself why.
type remoteExit struct {
	program string
	code    int
}

// Error implements error.
func (r *remoteExit) Error() string {
	return fmt.Sprintf("%s has failed with exit code %d", r.program, r.code)
}

// place is where rosey can be run for a RoseyBot: a pod, and the configuration in it.
type place struct {
	pod *corev1.Pod
	// flags are those of rosey for the configuration.
	flags []string
}

func placeOf(pod *corev1.Pod, file string, flags ...string) place {
	return place{pod: pod, flags: append([]string{"--config", path.Join(config.ConfigDir, file)}, flags...)}
}

// findPod returns a running pod of a component, if possible a ready one, and nil if there is none.
func findPod(pods []corev1.Pod, component status.Component) (found *corev1.Pod) {
	for i := range pods {
		pod := &pods[i]
		if componentOf(pod) == component && isRunning(pod) && (found == nil || isReady(pod)) {
			found = pod
		}
	}
	return found
}

// natsPlace returns where commands run that use NATS: a pod of the bot, with the bot's NATS user.
func (c *cluster) natsPlace(ctx context.Context, bot *v1alpha1.RoseyBot) (place, error) {
	if bot.Spec.Mode == v1alpha1.ModeDirect {
		return place{}, exit.Failedf("RoseyBot %s has mode Direct, and so no NATS, which this needs; "+
			"`kubectl rosey show %s` reads its database", bot.Name, bot.Name)
	}
	pods, err := c.pods(ctx, bot.Name)
	if err != nil {
		return place{}, err
	}
	if pod := findPod(pods, status.BotComponent); pod != nil {
		return placeOf(pod, config.BotFile, "--role", "bot"), nil
	}
	return place{}, noPod(bot, "the bot")
}

// databasePlace returns where commands run that use the database: a pod of the process that has it open. That of a
// RoseyBot that shares one is a pod of the owner.
func (c *cluster) databasePlace(ctx context.Context, bot *v1alpha1.RoseyBot) (place, error) {
	owner, component, file := bot.Name, status.DatabaseComponent, config.DatabaseFile
	var channel []string
	if shared := sharedFrom(bot); shared != "" {
		owner = shared
		channel = []string{"--channel", bot.Spec.Channel.Name, "--server", bot.Spec.Channel.Server}
	}
	if bot.Spec.Mode == v1alpha1.ModeDirect {
		component, file = status.BotComponent, config.BotFile
	}
	pods, err := c.pods(ctx, owner)
	if err != nil {
		return place{}, err
	}
	pod := findPod(pods, component)
	if pod == nil {
		return place{}, noPod(bot, "its database")
	}
	return placeOf(pod, file, channel...), nil
}

// sharedFrom returns the name of the RoseyBot whose database a RoseyBot uses, or "".
func sharedFrom(bot *v1alpha1.RoseyBot) string {
	if bot.Spec.Database != nil && bot.Spec.Database.SharedFrom != nil {
		return string(bot.Spec.Database.SharedFrom.Name)
	}
	return ""
}

func noPod(bot *v1alpha1.RoseyBot, what string) error {
	summary := summarize(bot)
	return exit.Failedf("no pod of %s runs: RoseyBot %s is %s: %s", what, bot.Name, summary.Reason, summary.Message)
}

// exec runs a program in the container of the runtime of a pod. A program that fails is a remoteExit.
func (c *cluster) exec(ctx context.Context, pod *corev1.Pod, std remotecommand.StreamOptions, command ...string) error {
	container := pod.Spec.Containers[containerOf(pod)].Name
	return c.stream(ctx, pod, "exec", std, &corev1.PodExecOptions{
		Container: container, Command: command, Stdin: std.Stdin != nil, Stdout: std.Stdout != nil, Stderr: std.Stderr != nil,
	})
}

// stream connects to a program in a pod: exec starts one. It returns when the program or ctx ends.
func (c *cluster) stream(
	ctx context.Context, pod *corev1.Pod, subresource string, std remotecommand.StreamOptions, options runtime.Object,
) error {
	executor, err := c.executor(ctx, pod, subresource, options)
	if err != nil {
		return exit.Failedf("preparing %s in pod %s: %w", subresource, pod.Name, err)
	}
	err = abandonable(ctx, func() error { return executor.StreamWithContext(ctx, std) })
	if ended, ok := errors.AsType[clientexec.CodeExitError](err); ok {
		return &remoteExit{program: "rosey in pod " + pod.Name, code: ended.Code}
	}
	if err != nil {
		return c.explain(ctx, fmt.Errorf("%s in pod %s: %w", subresource, pod.Name, err),
			to("create", "", "pods/"+subresource))
	}
	return nil
}

// executor returns what connects to a program in a pod, as kubectl does it: by a WebSocket, or by SPDY where the API
// server, or a proxy in front of it, does not speak that.
func (c *cluster) executor(
	ctx context.Context, pod *corev1.Pod, subresource string, options runtime.Object,
) (remotecommand.Executor, error) {
	address := c.kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).
		SubResource(subresource).VersionedParams(options, scheme.ParameterCodec).URL()
	plain, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, address)
	if err != nil {
		return nil, fmt.Errorf("for SPDY: %w", err)
	}
	socket, err := remotecommand.NewWebSocketExecutor(interruptible(ctx, c.config), http.MethodGet, address.String())
	if err != nil {
		return nil, fmt.Errorf("for a WebSocket: %w", err)
	}
	executor, err := remotecommand.NewFallbackExecutor(socket, plain, needsSPDY)
	if err != nil {
		return nil, fmt.Errorf("for both: %w", err)
	}
	return executor, nil
}

// rosey runs rosey in a place with the output of the plugin.
func (a *app) rosey(ctx context.Context, cluster *cluster, at place, out io.Writer, arguments []string) error {
	std := remotecommand.StreamOptions{Stdout: out, Stderr: a.err}
	return cluster.exec(ctx, at.pod, std, append([]string{"rosey"}, arguments...)...)
}
