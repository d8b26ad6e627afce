package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
)

const (
	// processTimeout is far more than a process takes to answer.
	processTimeout = 5 * time.Second
	// maxAsked is how many pods are asked at the same time.
	maxAsked = 8
)

func newStatusCommand(app *app) *cobra.Command {
	var format output.Format
	var all bool
	command := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show whether RoseyBots are ready, and of one all there is: conditions, pods, and what its processes say",
		Long: "Show whether RoseyBots are ready. Of one, NAME, show all there is: conditions, pods, and what each process\n" +
			"says of itself, which is asked through a forwarded port.\n\n" +
			"The exit code is 0 if all that are shown are ready.",
		Example: "  kubectl rosey status\n  kubectl rosey status -A -o wide\n  kubectl rosey status movienight",
		Args:    optionalName, ValidArgsFunction: app.completeNames,
		RunE: func(command *cobra.Command, arguments []string) error {
			cluster, err := app.connect()
			if err != nil {
				return err
			}
			if len(arguments) == 0 {
				return app.showList(command.Context(), cluster, all, format)
			}
			if all {
				return errors.New("--all-namespaces: expected no NAME with it")
			}
			return app.showOne(command.Context(), cluster, arguments[0], format)
		},
	}
	command.Flags().BoolVarP(&all, "all-namespaces", "A", false, "Show the RoseyBots of all namespaces")
	output.AddFlag(command, &format, output.Wide, output.JSON, output.YAML)
	return command
}

func (a *app) showList(ctx context.Context, cluster *cluster, all bool, format output.Format) error {
	namespace := cluster.namespace
	if all {
		namespace = metav1.NamespaceAll
	}
	bots, err := cluster.listedBots(ctx, namespace)
	if err != nil {
		return err
	}
	list := make([]botSummary, 0, len(bots))
	for i := range bots {
		list = append(list, summarize(&bots[i]))
	}
	if format.IsDocument() {
		err = a.writeDocument(format, list)
	} else {
		err = writeList(a, list, all, format == output.Wide)
	}
	if err != nil {
		return err
	}
	return notReady(list...)
}

func (a *app) showOne(ctx context.Context, cluster *cluster, name string, format output.Format) error {
	bot, err := cluster.bot(ctx, name)
	if err != nil {
		return err
	}
	detail := cluster.detail(ctx, bot)
	if format.IsDocument() {
		err = a.writeDocument(format, detail)
	} else {
		err = writeDetail(a, detail, format == output.Wide)
	}
	if err != nil {
		return err
	}
	return notReady(detail.botSummary)
}

// notReady returns a failure that names the first that are not ready, or nil.
func notReady(list ...botSummary) error {
	const named = 3
	var problems []error
	for _, bot := range list {
		if bot.Ready != metav1.ConditionTrue {
			problems = append(problems, fmt.Errorf("%s in namespace %s is not ready: %s", bot.Name, bot.Namespace, bot.Reason))
		}
	}
	if len(problems) > named {
		problems = append(problems[:named], fmt.Errorf("and %d more", len(problems)-named))
	}
	return exit.Failed(errors.Join(problems...))
}

// botSummary is what a list shows of a RoseyBot. All texts are printable.
type botSummary struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Ready is the status of the condition Ready. It is Unknown if the operator has not seen the present spec.
	Ready   metav1.ConditionStatus `json:"ready"`
	Reason  string                 `json:"reason"`
	Message string                 `json:"message,omitempty"`
	// Channel is as in an address of the CyTube server.
	Channel  string `json:"channel"`
	Mode     string `json:"mode"`
	Bot      string `json:"bot"`
	Database string `json:"database"`
	Leader   string `json:"leader,omitempty"`
	// LastBackup is when the newest backup of the SQLite database was made.
	LastBackup *metav1.Time `json:"lastBackup,omitempty"`
	Created    metav1.Time  `json:"created"`
}

func summarize(bot *v1alpha1.RoseyBot) botSummary {
	summary := botSummary{
		Namespace: bot.Namespace, Name: bot.Name, Ready: metav1.ConditionUnknown, Reason: "NotObserved",
		Message:  "the operator has not looked at the spec yet: does it run?",
		Channel:  status.Printable(bot.Spec.Channel.Server + "/r/" + bot.Spec.Channel.Name),
		Mode:     status.Printable(string(bot.Spec.Mode)),
		Bot:      status.Printable(bot.Status.Bot.Summary),
		Database: status.Printable(bot.Status.Database.Summary),
		Leader:   status.Printable(bot.Status.Leader), LastBackup: bot.Status.LastBackupTime, Created: bot.CreationTimestamp,
	}
	ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.ObservedGeneration == bot.Generation {
		summary.Ready, summary.Reason, summary.Message = ready.Status, ready.Reason, status.Printable(ready.Message)
	}
	return summary
}

// botDetail is all that status shows of one RoseyBot.
type botDetail struct {
	botSummary
	Conditions []metav1.Condition `json:"conditions"`
	Pods       []podDetail        `json:"pods"`
	// Problems are why something is missing here, such as a right of the user.
	Problems []string `json:"problems,omitempty"`
}

// podDetail is a pod and what its process says.
type podDetail struct {
	Name      string           `json:"name"`
	Component status.Component `json:"component"`
	Phase     corev1.PodPhase  `json:"phase"`
	Ready     bool             `json:"ready"`
	Restarts  int32            `json:"restarts"`
	Node      string           `json:"node,omitempty"`
	Image     string           `json:"image,omitempty"`
	Created   metav1.Time      `json:"created"`
	// Report is what the process says. Nil: it serves no status, or Problem says why there is none.
	Report  *status.Report `json:"report,omitempty"`
	Problem string         `json:"problem,omitempty"`
}

// detail returns what can be read of a RoseyBot. What cannot is one of the problems.
func (c *cluster) detail(ctx context.Context, bot *v1alpha1.RoseyBot) botDetail {
	detail := botDetail{botSummary: summarize(bot), Conditions: []metav1.Condition{}, Pods: []podDetail{}}
	for _, condition := range bot.Status.Conditions {
		condition.Message = status.Printable(condition.Message)
		detail.Conditions = append(detail.Conditions, condition)
	}
	pods, err := c.pods(ctx, bot.Name)
	if err != nil {
		detail.Problems = append(detail.Problems, status.Printable(err.Error()))
		return detail
	}
	for i := range pods {
		detail.Pods = append(detail.Pods, describePod(&pods[i]))
	}
	if err := c.askProcesses(ctx, pods, detail.Pods); err != nil {
		detail.Problems = append(detail.Problems, "the processes are not asked: "+status.Printable(err.Error()))
	}
	return detail
}

func describePod(pod *corev1.Pod) podDetail {
	described := podDetail{
		Name: pod.Name, Component: componentOf(pod), Phase: pod.Status.Phase, Ready: isReady(pod),
		Node: pod.Spec.NodeName, Created: pod.CreationTimestamp,
	}
	for _, container := range pod.Status.ContainerStatuses {
		described.Restarts += container.RestartCount
	}
	if len(pod.Spec.Containers) > 0 {
		described.Image = status.Printable(pod.Spec.Containers[containerOf(pod)].Image)
	}
	return described
}

// askProcesses asks the processes of running pods, and writes what they say into described. It returns an error if the
// user may ask none.
func (c *cluster) askProcesses(ctx context.Context, pods []corev1.Pod, described []podDetail) error {
	var asked sync.WaitGroup
	slots, denied := make(chan struct{}, maxAsked), make(chan error, len(pods))
	for i := range pods {
		if !isRunning(&pods[i]) || statusPort(&pods[i]) == 0 {
			continue
		}
		slots <- struct{}{}
		asked.Go(func() {
			defer func() { <-slots }()
			report, err := c.report(ctx, &pods[i])
			if _, ok := errors.AsType[*rightsMissing](err); ok {
				denied <- err
			} else if err != nil {
				described[i].Problem = status.Printable(err.Error())
			} else {
				described[i].Report = &report
			}
		})
	}
	asked.Wait()
	select {
	case err := <-denied:
		return err
	default:
		return nil
	}
}
