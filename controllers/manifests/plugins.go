package manifests

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// All built-in plugins of a RoseyBot run in one process, the component Plugins: they are parts of the same image, and a
// pod for each would be most of the pods of a cluster with many RoseyBots. Each plugin with an image is a component of
// its own, with its own NATS user, Secrets and NetworkPolicy, because nobody knows what it does.
//
// What the bot and the host have to know of plugins is in a ConfigMap that they read while they run, and so are the
// settings of each plugin: a change of a plugin never replaces the pod of the bot.

// pluginPrefix begins the name of the component of a plugin with an image. No name of a plugin has a "-".
const pluginPrefix = string(status.PluginComponent) + "-"

// PluginComponent returns the component that runs a plugin.
func PluginComponent(plugin v1alpha1.Plugin) Component {
	if plugin.Builtin != "" {
		return Plugins
	}
	return Component(pluginPrefix + string(plugin.Name))
}

// PluginName returns the name of the plugin with an image that a component runs, or "".
func PluginName(component Component) string {
	name, _ := strings.CutPrefix(string(component), pluginPrefix)
	if name == string(component) {
		return ""
	}
	return name
}

// RunsPlugins reports whether a component runs plugins.
func RunsPlugins(component Component) bool {
	return component == Plugins || PluginName(component) != ""
}

// HasPlugins reports whether a RoseyBot has plugins.
func HasPlugins(bot *v1alpha1.RoseyBot) bool {
	return bot.Spec.Mode != v1alpha1.ModeDirect && len(bot.Spec.Plugins) > 0
}

// pluginComponents returns the components that run the plugins of a RoseyBot.
func pluginComponents(bot *v1alpha1.RoseyBot) (components []Component) {
	if !HasPlugins(bot) {
		return nil
	}
	for i := range bot.Spec.Plugins {
		if component := PluginComponent(bot.Spec.Plugins[i]); !slices.Contains(components, component) {
			components = append(components, component)
		}
	}
	return components
}

// pluginOf returns the plugin of a component. For the host of the built-in ones it is made of spec.pluginHost. It is
// zero for any other component.
func pluginOf(bot *v1alpha1.RoseyBot, component Component) v1alpha1.Plugin {
	if component == Plugins {
		host := bot.Spec.PluginHost
		return v1alpha1.Plugin{
			NATSCredentialsSecretRef: host.NATSCredentialsSecretRef, EnvFrom: forBuiltinPlugins(host.EnvFrom),
			Resources: host.Resources, Egress: host.Egress, Probes: v1alpha1.PluginProbesHTTP,
		}
	}
	for i := range bot.Spec.Plugins {
		if RunsPlugins(component) && PluginComponent(bot.Spec.Plugins[i]) == component {
			return bot.Spec.Plugins[i]
		}
	}
	return v1alpha1.Plugin{}
}

// forBuiltinPlugins returns sources of variables with names that only a built-in plugin reads. Otherwise whoever may
// change a ConfigMap of them could send the NATS user of the process, and what else it has of the bot, to other
// servers.
func forBuiltinPlugins(sources []corev1.EnvFromSource) []corev1.EnvFromSource {
	prefixed := slices.Clone(sources)
	for i := range prefixed {
		prefixed[i].Prefix = config.PluginVariablePrefix + prefixed[i].Prefix
	}
	return prefixed
}

// ServesHTTP reports whether the process of a component serves its status and its metrics.
func ServesHTTP(bot *v1alpha1.RoseyBot, component Component) bool {
	return !RunsPlugins(component) || pluginOf(bot, component).Probes == v1alpha1.PluginProbesHTTP
}

func liveName(bot *v1alpha1.RoseyBot) string { return bot.Name + "-live" }

// LiveFiles returns the files that the bot and the host of the built-in plugins read while they run, by name.
func LiveFiles(bot *v1alpha1.RoseyBot) (map[string]string, error) {
	files := map[string]string{}
	for name, content := range map[string]any{
		config.CommandsFile: commandsConfig(bot), config.PluginsFile: pluginsConfig(bot),
	} {
		// As JSON, which is YAML: the encoder of YAML does not always put the same keys in the same order.
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // which makes six bytes of one
		if err := encoder.Encode(content); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", name, err)
		}
		files[name] = text.String()
	}
	return files, nil
}

// liveObjects returns the ConfigMap with LiveFiles. It is always mounted, so that no pod has to be replaced when the
// first plugin is added.
func liveObjects(bot *v1alpha1.RoseyBot) (*corev1.ConfigMap, error) {
	files, err := LiveFiles(bot)
	if err != nil {
		return nil, err
	}
	live := newObject[corev1.ConfigMap](bot, liveName(bot), "")
	live.Data = files
	return live, nil
}

func commandsConfig(bot *v1alpha1.RoseyBot) config.Commands {
	spec := bot.Spec.Commands
	content := config.Commands{Prefix: spec.Prefix, Chat: spec.Chat, PM: spec.PM}
	content.CooldownSeconds = intOf(spec.Cooldown.UserSeconds)
	content.ChannelCooldownSeconds = intOf(spec.Cooldown.ChannelSeconds)
	overlay(spec.Ignore, &content.Ignore)
	for _, one := range spec.Overrides {
		var override config.CommandOverride
		overlay(one, &override)
		if content.Overrides == nil {
			content.Overrides = map[string]config.CommandOverride{}
		}
		content.Overrides[one.Command] = override
	}
	return content
}

func intOf(value *int32) *int {
	if value == nil {
		return nil
	}
	return new(int(*value))
}

// pluginsConfig returns the plugins as the processes read them. Only the host needs settings, and only those of the
// built-in ones.
func pluginsConfig(bot *v1alpha1.RoseyBot) []config.Plugin {
	plugins := []config.Plugin{}
	if !HasPlugins(bot) {
		return plugins
	}
	for i := range bot.Spec.Plugins {
		spec := &bot.Spec.Plugins[i]
		plugin := config.Plugin{Name: string(spec.Name), Builtin: string(spec.Builtin)}
		if spec.Builtin != "" {
			overlay(spec.Config, &plugin.Config)
		}
		overlay(spec.Grants, &plugin.Grants)
		plugins = append(plugins, plugin)
	}
	return plugins
}

// pluginObjects returns what only a plugin with an image has: a ServiceAccount, and a ConfigMap with the settings, one
// file for each, which are mounted as a directory and read while the plugin runs.
func pluginObjects(bot *v1alpha1.RoseyBot, component Component) []client.Object {
	if PluginName(component) == "" {
		return nil
	}
	settings := newObject[corev1.ConfigMap](bot, Name(bot, component), component)
	overlay(pluginOf(bot, component).Config, &settings.Data)
	account := newObject[corev1.ServiceAccount](bot, serviceAccountName(bot, component), component)
	return []client.Object{account, settings}
}

// setPluginFields makes the container that of a plugin with an image, which finds NATS by environment variables: they
// are those of the keys of the runtime's configuration, so that a program on the SDK needs no others.
func setPluginFields(container *corev1.Container, bot, owner *v1alpha1.RoseyBot, component Component) {
	plugin := pluginOf(bot, component)
	container.Image = plugin.Image
	nats, trace, address := natsConfig(bot, owner, component), telemetryConfig(bot, component), ""
	if ServesHTTP(bot, component) {
		address = ":" + strconv.Itoa(status.HTTPPort)
	}
	for _, variable := range []struct{ name, value string }{
		{"ROSEY_PLUGIN_NAME", string(plugin.Name)},
		{"ROSEY_PLUGIN_SETTINGS", config.PluginSettingsDir},
		{"ROSEY_CHANNEL_SERVER", bot.Spec.Channel.Server},
		{"ROSEY_CHANNEL_NAME", bot.Spec.Channel.Name},
		{"ROSEY_NATS_URL", nats.URL},
		{"ROSEY_NATS_SUBJECT_PREFIX", nats.SubjectPrefix},
		{"ROSEY_NATS_CREDENTIALS_DIR", nats.CredentialsDir},
		{"ROSEY_NATS_TLS_DIR", nats.TLSDir},
		{"ROSEY_HTTP_ADDRESS", address},
		{"ROSEY_LOG_LEVEL", bot.Spec.LogLevel},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", trace.Endpoint},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", trace.Protocol},
		{"OTEL_TRACES_SAMPLER", sampler(trace)},
		{"OTEL_TRACES_SAMPLER_ARG", trace.SamplingRatio},
		{"OTEL_RESOURCE_ATTRIBUTES", trace.ResourceAttributes},
	} {
		if variable.value != "" {
			container.Env = append(container.Env, corev1.EnvVar{Name: variable.name, Value: variable.value})
		}
	}
}

// sampler returns the sampler of OpenTelemetry that a ratio is for, or "".
func sampler(trace config.Telemetry) string {
	if trace.SamplingRatio == "" {
		return ""
	}
	return "parentbased_traceidratio"
}

// withoutHTTP removes the probes and the port of a process that does not serve them.
func withoutHTTP(container *corev1.Container) {
	container.StartupProbe, container.LivenessProbe, container.ReadinessProbe = nil, nil, nil
	container.Ports = nil
}

// mountPluginFiles mounts what the bot and the plugins read while they run.
func mountPluginFiles(pod *corev1.PodSpec, bot *v1alpha1.RoseyBot, component Component) {
	source := &corev1.ConfigMapVolumeSource{}
	switch {
	case component == Bot, component == Plugins:
		source.Name = liveName(bot)
		mount(pod, liveVolume, config.LiveDir, corev1.VolumeSource{ConfigMap: source})
	case PluginName(component) != "":
		source.Name = Name(bot, component)
		mount(pod, "settings", config.PluginSettingsDir, corev1.VolumeSource{ConfigMap: source})
		limitFiles(pod)
	}
}

// pluginFiles is how much a plugin with an image may keep in /tmp unless it has a limit for ephemeral storage: nobody
// knows what it writes there, and the disk is the node's.
var pluginFiles = resource.MustParse("128Mi")

// limitFiles bounds what the container of a pod may keep in directories that are empty at first.
func limitFiles(pod *corev1.PodSpec) {
	limit, isSet := pod.Containers[0].Resources.Limits[corev1.ResourceEphemeralStorage]
	if !isSet {
		limit = pluginFiles
	}
	for i := range pod.Volumes {
		if directory := pod.Volumes[i].EmptyDir; directory != nil {
			directory.SizeLimit = new(limit.DeepCopy())
		}
	}
}

// isTooOld reports whether the pods of a Deployment, which may be nil, were built by a version of the operator that
// knew nothing of what the spec asks for: the bot has to read LiveFiles, and the database service to keep what plugins
// store. Then they have to be replaced, once.
func isTooOld(bot *v1alpha1.RoseyBot, workload *appsv1.Deployment) bool {
	switch {
	case workload == nil:
		return false
	case workload.Name == Name(bot, Bot):
		hasCommands := !reflect.DeepEqual(bot.Spec.Commands, v1alpha1.Commands{})
		return (HasPlugins(bot) || hasCommands) && !mountsLiveFiles(&workload.Spec.Template.Spec)
	}
	return workload.Name == Name(bot, Database) && HasPlugins(bot) && !keepsPluginKeys(&workload.Spec.Template)
}

func mountsLiveFiles(pod *corev1.PodSpec) bool {
	return slices.ContainsFunc(pod.Volumes, func(volume corev1.Volume) bool { return volume.Name == liveVolume })
}

// withoutUnusedLiveFiles returns desired objects without LiveFiles if no pod mounts them: a version of the operator
// before plugins has built these. An object of that name that belongs to somebody else must not make the RoseyBot fail
// then.
func withoutUnusedLiveFiles(bot *v1alpha1.RoseyBot, desired []Desired) []Desired {
	if slices.ContainsFunc(desired, func(next Desired) bool {
		workload, isDeployment := next.Object.(*appsv1.Deployment)
		return isDeployment && mountsLiveFiles(&workload.Spec.Template.Spec)
	}) {
		return desired
	}
	return slices.DeleteFunc(desired, func(next Desired) bool {
		return KeyOf(next.Object) == Key{configMapKind, liveName(bot)}
	})
}

// pluginKeysAnnotation of the pods of a database service says that they keep what plugins store. Those of the version
// before plugins do not have it, and answer no request of a plugin.
const pluginKeysAnnotation = "rosey.dev/plugin-keys"

func keepsPluginKeys(template *corev1.PodTemplateSpec) bool {
	return template.Annotations[pluginKeysAnnotation] != ""
}

// ServiceKeepsPluginKeys reports whether the database service that a RoseyBot shares keeps what plugins store. One that
// an earlier version of the operator started, and that waits for its update, may not.
func ServiceKeepsPluginKeys(owner *v1alpha1.RoseyBot) bool {
	for _, pinned := range owner.Status.Pinned {
		if pinned.Kind == deploymentKind && pinned.Name == Name(owner, Database) {
			var template corev1.PodTemplateSpec
			err := json.Unmarshal([]byte(pinned.Content), &template)
			return err != nil || keepsPluginKeys(&template)
		}
	}
	return true
}

// liveVolume is the volume with LiveFiles.
const liveVolume = "live"

// addLiveFiles adds the paths of the files that a process reads while it runs.
func addLiveFiles(content *config.Config, bot *v1alpha1.RoseyBot, component Component) {
	if component == Bot {
		content.CommandsFile = path.Join(config.LiveDir, config.CommandsFile)
	}
	if bot.Spec.Mode != v1alpha1.ModeDirect {
		content.PluginsFile = path.Join(config.LiveDir, config.PluginsFile)
	}
}

// pluginReplicas returns the number of pods that the spec asks for, suspended or not.
func pluginReplicas(bot *v1alpha1.RoseyBot, component Component) int32 {
	if !slices.Contains(pluginComponents(bot), component) {
		return 0
	}
	return ptr.Deref(pluginOf(bot, component).Replicas, 1)
}
