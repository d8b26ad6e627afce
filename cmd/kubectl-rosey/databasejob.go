package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/remotecommand"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/job"
)

const (
	// stepTimeout bounds each step but the command itself: pods that end, a pod that starts.
	stepTimeout = 3 * time.Minute
	pollEvery   = 500 * time.Millisecond
	// startTimeout bounds the tries to end the suspension.
	startTimeout = time.Minute
)

// databaseJob runs a command in a Job, with the database of a RoseyBot that is suspended meanwhile.
type databaseJob struct {
	app     *app
	cluster *cluster
	bot     *v1alpha1.RoseyBot
	exclusive

	// name is that of the Job, content the Job in JSON, and uid the UID that it has got.
	name    string
	content []byte
	uid     string
}

// prepare makes the Job, and returns an error if one of its name is there.
func (d *databaseJob) prepare(ctx context.Context) error {
	deployment, file := databaseDeployment(d.bot)
	text, err := d.cluster.kube.AppsV1().RESTClient().Get().Namespace(d.cluster.namespace).Resource("deployments").
		Name(deployment).DoRaw(ctx)
	if err != nil {
		return exit.Failedf("reading Deployment %s: %w", deployment, err)
	}
	var object job.Object
	if err := json.Unmarshal(text, &object); err != nil {
		return exit.Failedf("reading Deployment %s: %w", deployment, err)
	}
	command := append(d.rosey, "--config", path.Join(config.ConfigDir, file))
	built, err := job.Of(object, command, job.Options{Stdin: d.input != ""})
	if err != nil {
		return exit.Failed(err)
	}
	if d.content, err = json.Marshal(built); err != nil {
		return exit.Failedf("encoding the Job: %w", err)
	}
	d.name = built.Metadata.Name
	_, err = d.cluster.kube.BatchV1().Jobs(d.cluster.namespace).Get(ctx, d.name, metav1.GetOptions{})
	if err == nil {
		return exit.Failedf("Job %s is there, of another run: see `kubectl logs job/%s`, then `kubectl delete job %s`",
			d.name, d.name, d.name)
	}
	if !apierrors.IsNotFound(err) {
		return exit.Failedf("looking for Job %s: %w", d.name, err)
	}
	return nil
}

// run suspends the RoseyBot, runs the Job, and starts the RoseyBot again if it ran before. If it is not known how the
// Job ends, the RoseyBot stays suspended.
func (d *databaseJob) run(ctx context.Context) error {
	if err := d.suspend(ctx, true); isRefused(err) {
		return err
	} else if err != nil { // it may be suspended all the same
		return errors.Join(err, d.asBefore(ctx))
	}
	if err := d.waitSuspended(ctx); err != nil {
		return errors.Join(err, d.asBefore(ctx))
	}
	ended, err := d.runJob(ctx)
	if !ended {
		return errors.Join(err, d.stays())
	}
	return errors.Join(err, d.asBefore(ctx))
}

// asBefore ends the suspension unless the RoseyBot was suspended before, also if the command was interrupted: nothing
// uses the database any more.
func (d *databaseJob) asBefore(ctx context.Context) error {
	if d.bot.Spec.Suspend != nil && *d.bot.Spec.Suspend {
		d.say("%s was suspended before, and stays so. Start it with\n%s", d.bot.Name, d.unsuspend())
		return nil
	}
	d.say("starting %s again", d.bot.Name)
	err := d.poll(context.WithoutCancel(ctx), startTimeout, "the API server", func(ctx context.Context) (bool, error) {
		err := d.suspend(ctx, false)
		return err == nil, err
	})
	if err != nil {
		return errors.Join(err, exit.Failedf("RoseyBot %s stays suspended. Start it with\n%s", d.bot.Name, d.unsuspend()))
	}
	return nil
}

// unsuspend is the command that ends the suspension.
func (d *databaseJob) unsuspend() string {
	return fmt.Sprintf(`kubectl patch roseybot %s --type merge -p '{"spec":{"suspend":false}}'`, d.bot.Name)
}

func (d *databaseJob) say(format string, arguments ...any) {
	_, _ = fmt.Fprintf(d.app.err, format+"\n", arguments...) // the error of the command says what matters
}

// stays is the failure of a run after which the RoseyBot is suspended.
func (d *databaseJob) stays() error {
	return exit.Failedf("RoseyBot %s stays suspended, since Job %s may still run. See `kubectl logs -f job/%s`; "+
		"when it has ended, or to give up, `kubectl delete job %s` and\n%s", d.bot.Name, d.name, d.name, d.name,
		d.unsuspend())
}

func (d *databaseJob) suspend(ctx context.Context, value bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, value)
	err := d.cluster.bots.Patch(types.MergePatchType).Namespace(d.cluster.namespace).Resource(botResource).
		Name(d.bot.Name).Body(patch).Do(ctx).Error()
	if err != nil {
		return exit.Failedf("setting spec.suspend of RoseyBot %s to %t: %w", d.bot.Name, value, err)
	}
	return nil
}

// waitSuspended waits until no pod of the RoseyBot is left.
func (d *databaseJob) waitSuspended(ctx context.Context) error {
	d.say("waiting until the pods of %s have ended", d.bot.Name)
	return d.poll(ctx, stepTimeout, "the end of the pods", func(ctx context.Context) (bool, error) {
		bot, err := d.cluster.bot(ctx, d.bot.Name)
		if err != nil {
			return false, err
		}
		if bot.Spec.Suspend == nil || !*bot.Spec.Suspend {
			return false, exit.Failedf("somebody has set spec.suspend back: whoever manages RoseyBot %s, such as Argo CD "+
				"or Flux, has to suspend it", bot.Name)
		}
		ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.ObservedGeneration == bot.Generation && ready.Reason == v1alpha1.ReasonSuspended, nil
	})
}

// runJob runs the Job and shows its log. It reports whether the Job has ended or was refused; if it has ended well, it
// is removed.
func (d *databaseJob) runJob(ctx context.Context) (ended bool, err error) {
	jobs := d.cluster.kube.BatchV1()
	var created batchv1.Job
	err = jobs.RESTClient().Post().Namespace(d.cluster.namespace).Resource("jobs").
		SetHeader("Content-Type", "application/json").Body(d.content).Do(ctx).Into(&created)
	d.uid = string(created.UID)
	if err != nil {
		return isRefused(err), exit.Failedf("creating Job %s: %w", d.name, err)
	}
	d.say("Job %s runs rosey %s", d.name, d.verb)
	limit := d.timeout
	var sendErr error
	if d.input != "" {
		if sendErr = d.sendInput(ctx); sendErr != nil {
			limit = stepTimeout // a command that has failed early has read nothing
		}
	}
	var failure string
	err = d.poll(ctx, limit, "the end of Job "+d.name, func(ctx context.Context) (bool, error) {
		current, err := jobs.Jobs(d.cluster.namespace).Get(ctx, d.name, metav1.GetOptions{})
		if err != nil {
			return false, exit.Failedf("reading Job %s: %w", d.name, err)
		}
		var done bool
		done, failure = outcome(current)
		return done, nil
	})
	if err != nil {
		return false, errors.Join(sendErr, err)
	}
	err = d.showLog(ctx)
	if failure != "" { // the input that was not sent may be why
		return true, errors.Join(d.failed(failure, err), sendErr)
	}
	if errors.Is(err, errPodGone) {
		d.say("Job %s is done: %v", d.name, err)
	} else if err != nil {
		return true, exit.Failedf("it is done; %w", err)
	}
	return true, d.removeJob(ctx)
}

// removeJob removes the Job, which is done. Somebody else may have done so.
func (d *databaseJob) removeJob(ctx context.Context) error {
	background := metav1.DeletePropagationBackground
	err := d.cluster.kube.BatchV1().Jobs(d.cluster.namespace).
		Delete(ctx, d.name, metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		return exit.Failedf("it is done; removing Job %s: %w", d.name, err)
	}
	return nil
}

// outcome reports whether a Job has ended, and with which failure, or "".
func outcome(job *batchv1.Job) (done bool, failure string) {
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			return true, ""
		case batchv1.JobFailed:
			return true, cmp.Or(condition.Reason, string(condition.Type))
		default:
		}
	}
	return false, ""
}

// failed is the failure of a Job. unshown is why its log was not shown, or nil.
func (d *databaseJob) failed(reason string, unshown error) error {
	why := "its log, above, says why"
	if unshown != nil {
		why = unshown.Error()
	}
	return exit.Failedf("Job %s has failed (%s): %s. Before you try again: `kubectl delete job %s`", d.name, reason, why,
		d.name)
}

// poll asks until done, the end of a time, or an error that does not pass.
func (d *databaseJob) poll(
	ctx context.Context, limit time.Duration, what string, ask wait.ConditionWithContextFunc,
) error {
	var passing error
	err := wait.PollUntilContextTimeout(ctx, pollEvery, limit, true, func(ctx context.Context) (bool, error) {
		done, err := ask(ctx)
		if !mayPass(err) {
			passing = nil
			return done, err
		}
		if ctx.Err() != nil { // that is why
			return false, ctx.Err()
		}
		if passing == nil {
			d.say("%v; trying again", err)
		}
		passing = err
		return false, nil
	})
	switch {
	case ctx.Err() != nil:
		return exit.Failedf("interrupted while waiting for %s", what)
	case wait.Interrupted(err):
		return errors.Join(exit.Failedf("waiting for %s: not within %v", what, limit), passing)
	default:
		return asFailure(err)
	}
}

// isRefused reports whether a request has certainly changed nothing, since the API server has refused it.
func isRefused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// pod returns the pod of the Job, and nil while there is none. One of an earlier Job of the same name may still end.
func (d *databaseJob) pod(ctx context.Context) (*corev1.Pod, error) {
	list, err := d.cluster.kube.CoreV1().Pods(d.cluster.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{batchv1.ControllerUidLabel: d.uid}.String(),
	})
	if err != nil {
		return nil, exit.Failedf("listing the pods of Job %s: %w", d.name, err)
	}
	if len(list.Items) == 0 {
		return nil, nil //nolint:nilnil // it is said above
	}
	return &list.Items[0], nil
}

// sendInput sends the file of this machine to the command, which waits for it.
func (d *databaseJob) sendInput(ctx context.Context) error {
	var pod *corev1.Pod
	err := d.poll(ctx, stepTimeout, "the start of the pod of Job "+d.name, func(ctx context.Context) (bool, error) {
		var err error
		if pod, err = d.pod(ctx); err != nil || pod == nil {
			return false, err
		}
		if pod.Status.Phase == corev1.PodFailed {
			return false, exit.Failedf("pod %s has failed: %s", pod.Name, pod.Status.Message)
		}
		return pod.Status.Phase == corev1.PodRunning, nil
	})
	if err != nil {
		return err
	}
	file, err := d.openInput()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	d.say("sending %s", d.input)
	err = d.cluster.stream(ctx, pod, "attach", remotecommand.StreamOptions{Stdin: file, Stdout: io.Discard},
		&corev1.PodAttachOptions{Container: pod.Spec.Containers[0].Name, Stdin: true, Stdout: true})
	if remote, ok := errors.AsType[*remoteExit](err); ok { // nobody has seen yet why: the log says it
		return exit.Failedf("sending %s: %s", d.input, remote.Error())
	}
	return err
}

var errPodGone = exit.Failedf("its pod is gone, and its log with it")

// showLog writes what the command in the Job has written.
func (d *databaseJob) showLog(ctx context.Context) error {
	pod, err := d.pod(ctx)
	if err != nil {
		return err
	}
	if pod == nil {
		return errPodGone
	}
	log, err := d.cluster.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).Stream(ctx)
	if err != nil {
		return exit.Failedf("reading the log of Job %s: %w", d.name, err)
	}
	defer func() { _ = log.Close() }() // it was only read
	_, err = io.Copy(d.app.out, log)
	return exit.Failed(err)
}
