package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A shell completes by calling `kubectl rosey __complete`, which kubectl's own completion does through the program
// kubectl_complete-rosey. What fails there completes nothing.

// completeNames completes the name of a RoseyBot, the first argument.
func (a *app) completeNames(
	command *cobra.Command, arguments []string, _ string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(arguments) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cluster, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	bots, err := cluster.listedBots(command.Context(), cluster.namespace)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []cobra.Completion
	for i := range bots {
		names = append(names, cobra.CompletionWithDesc(bots[i].Name, summarize(&bots[i]).Channel))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeNamespaces(
	command *cobra.Command, _ []string, _ string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	cluster, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, err := cluster.kube.CoreV1().Namespaces().List(command.Context(), metav1.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []cobra.Completion
	for _, namespace := range list.Items {
		names = append(names, namespace.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	config, err := a.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.Sorted(maps.Keys(config.Contexts)), cobra.ShellCompDirectiveNoFileComp
}

// optionalName checks that there is at most the name of a RoseyBot.
func optionalName(_ *cobra.Command, arguments []string) error {
	if len(arguments) > 1 || len(arguments) == 1 && arguments[0] == "" {
		return errors.New("expected at most one argument, the NAME of a RoseyBot")
	}
	return nil
}

// exactName checks that there is the name of a RoseyBot and nothing else.
func exactName(_ *cobra.Command, arguments []string) error {
	if len(arguments) != 1 || arguments[0] == "" {
		return fmt.Errorf("expected one argument, the NAME of a RoseyBot, got %d", len(arguments))
	}
	return nil
}
