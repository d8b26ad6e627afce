package manifests

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// MaxSharers is how many RoseyBots can share the database service of another one.
const MaxSharers = 100

// channelAnnotation of a bot's pods names the RoseyBot whose database service stores what they publish, and the
// channel: "movienight https://cytu.be/movies". The service has to serve the channel as long as such a pod exists.
const channelAnnotation = "rosey.dev/channel"

// ServiceOwner returns the name of the RoseyBot whose database service a RoseyBot uses, which may be itself. It is
// empty in mode Direct.
func ServiceOwner(bot *v1alpha1.RoseyBot) string {
	if HasService(bot) {
		return bot.Name
	}
	return SharedFrom(bot)
}

// ChannelName returns the name of a RoseyBot's channel as a database service reports it.
func ChannelName(bot *v1alpha1.RoseyBot) string {
	return status.ChannelName(bot.Spec.Channel.Server, bot.Spec.Channel.Name)
}

// ServedChannel is a channel that a database service has to serve.
type ServedChannel struct {
	// Owner is the RoseyBot of the service.
	Owner string
	// Channel is a status.ChannelName.
	Channel string
}

// ServedChannelOf returns what the bot of a RoseyBot needs. It is zero in mode Direct.
func ServedChannelOf(bot *v1alpha1.RoseyBot) ServedChannel {
	if ServiceOwner(bot) == "" {
		return ServedChannel{}
	}
	return ServedChannel{Owner: ServiceOwner(bot), Channel: ChannelName(bot)}
}

// ReadServedChannel returns what the annotations of a bot's pod, or of a template for it, say. It is zero if they say
// nothing.
func ReadServedChannel(annotations map[string]string) ServedChannel {
	owner, channel, _ := strings.Cut(annotations[channelAnnotation], " ")
	return ServedChannel{Owner: owner, Channel: channel}
}

// annotations returns the annotation that ReadServedChannel reads.
func (s ServedChannel) annotations() map[string]string {
	if s.Owner == "" {
		return nil
	}
	return map[string]string{channelAnnotation: s.Owner + " " + s.Channel}
}

// AcceptSharers returns those of the RoseyBots with sharedFrom that can share the owner's service, and why the others
// cannot: there are too many, or another one has a channel of the same name on another server, whose subjects would be
// the same. Older ones are accepted first.
func AcceptSharers(
	owner *v1alpha1.RoseyBot, sharers []v1alpha1.RoseyBot,
) (accepted []v1alpha1.RoseyBot, refused map[string]string) {
	byName := map[string]*v1alpha1.RoseyBot{strings.ToLower(owner.Spec.Channel.Name): owner}
	refused = map[string]string{}
	oldestFirst := slices.SortedFunc(slices.Values(sharers), func(a, b v1alpha1.RoseyBot) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for i := range oldestFirst {
		sharer := &oldestFirst[i]
		name := strings.ToLower(sharer.Spec.Channel.Name)
		other, isKnown := byName[name]
		switch {
		case len(accepted) >= MaxSharers:
			refused[sharer.Name] = fmt.Sprintf("RoseyBot %s is shared by %d others already: expected at most %[2]d",
				owner.Name, MaxSharers)
			continue
		case isKnown && ChannelName(other) != ChannelName(sharer):
			refused[sharer.Name] = fmt.Sprintf("RoseyBot %s, with the same database service, has a channel named %s on %s: "+
				"expected another name, or another service", other.Name, other.Spec.Channel.Name, other.Spec.Channel.Server)
			continue
		case !isKnown:
			byName[name] = sharer
		}
		accepted = append(accepted, *sharer)
	}
	return accepted, refused
}

// ListChannels returns the channels that a RoseyBot's service has to serve: those of the RoseyBots that use it, and
// those of running bots, whose channel may have changed. served is what the annotations of running bots say.
func ListChannels(
	owner *v1alpha1.RoseyBot, sharers []v1alpha1.RoseyBot, served []ServedChannel,
) []config.ListedChannel {
	accepted, _ := AcceptSharers(owner, sharers)
	needed := map[string]bool{ChannelName(owner): true}
	for i := range accepted {
		needed[ChannelName(&accepted[i])] = true
	}
	for _, one := range served {
		if one.Owner == owner.Name && len(needed) < config.MaxListedChannels {
			needed[one.Channel] = true
		}
	}
	channels := make([]config.ListedChannel, 0, len(needed))
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		server, channel := path.Split(name)
		channels = append(channels, config.ListedChannel{Server: strings.TrimRight(server, "/"), Name: channel})
	}
	return channels
}

// channelList returns the ConfigMap with the channels that the database service serves, and with what it has to know to
// take over a stream. It is none of the objects that are pinned, because a service reads it while it runs.
func channelList(bot *v1alpha1.RoseyBot, observed Observed) (*corev1.ConfigMap, error) {
	channels := observed.Channels
	if channels == nil {
		channels = ListChannels(bot, nil, nil)
	}
	text, err := yaml.Marshal(channels)
	if err != nil {
		return nil, fmt.Errorf("encoding the list of channels: %w", err)
	}
	provenance, err := yaml.Marshal(databaseProvenance(bot, observed))
	if err != nil {
		return nil, fmt.Errorf("encoding where the database comes from: %w", err)
	}
	list := newObject[corev1.ConfigMap](bot, channelListName(bot), Database)
	list.Data = map[string]string{config.ChannelsFile: string(text), config.ProvenanceFile: string(provenance)}
	return list, nil
}

// UpdateChannelList replaces the desired list of channels, which says when the claim was created, because the claim has
// just been created.
func UpdateChannelList(bot *v1alpha1.RoseyBot, desired []Desired, observed Observed) error {
	for i := range desired {
		if list, ok := desired[i].Object.(*corev1.ConfigMap); ok && list.Name == channelListName(bot) {
			updated, err := channelList(bot, observed)
			if err != nil {
				return err
			}
			desired[i].Object = updated
		}
	}
	return nil
}

// maxTakeOver is more than an ID and what may follow it.
const maxTakeOver = 100

// databaseProvenance returns what the database service has to know to take over the stream of a database that is gone.
func databaseProvenance(bot *v1alpha1.RoseyBot, observed Observed) config.Provenance {
	provenance := config.Provenance{
		NamespaceUID: string(observed.NamespaceUID),
		TakeOver:     status.OneLine(bot.Annotations[v1alpha1.TakeOverAnnotation], maxTakeOver),
	}
	claim := Find[*corev1.PersistentVolumeClaim](observed, ClaimName(bot))
	if claim == nil || claim.DeletionTimestamp != nil || !MountsClaim(bot, Database) {
		return provenance
	}
	provenance.PVCCreated = claim.CreationTimestamp.UTC()
	provenance.OnlyPVC = true
	for key := range observed.Objects {
		// Backups are copies of rows that this database has, or had.
		if key.Kind == KeyOf(claim).Kind && key.Name != claim.Name && key.Name != backupClaimName(bot) {
			provenance.OnlyPVC = false
		}
	}
	return provenance
}

func channelListName(bot *v1alpha1.RoseyBot) string { return bot.Name + "-channels" }

// KeepConfig returns the desired objects with the configuration of a component as it is in the cluster. A pod that runs
// must not read a new one when it restarts while its Deployment is not changed yet.
func KeepConfig(bot *v1alpha1.RoseyBot, component Component, desired []Desired, observed Observed) []Desired {
	live, file := Find[*corev1.ConfigMap](observed, configMapName(bot)), configFile[component]
	if live == nil || live.Data[file] == "" {
		return desired
	}
	kept := slices.Clone(desired)
	for i, next := range kept {
		if configuration, ok := next.Object.(*corev1.ConfigMap); ok && configuration.Name == live.Name {
			configuration = configuration.DeepCopy()
			configuration.Data[file] = live.Data[file]
			kept[i].Object = configuration
		}
	}
	return kept
}
