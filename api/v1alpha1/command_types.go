//nolint:lll // a marker cannot be wrapped
package v1alpha1

// UserName is the name of a user of a CyTube site.
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="expected names of users: 1 to 20 letters, digits, '-' and '_'"
type UserName string

// Commands specifies the commands that users give in the channel and by private message: those of the bot itself and
// those of plugins. A change takes effect within a minute or two, without a restart.
type Commands struct {
	// prefix is what a command in the chat begins with: 1 to 5 characters, without space, that do not begin with '/'.
	// Defaults to !.
	// +optional
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^/[:space:][:cntrl:]][^[:space:][:cntrl:]]*$')",message="expected 1 to 5 characters without space that do not begin with '/', for example !"
	Prefix string `json:"prefix,omitempty"`

	// chat specifies whether users can give commands in the chat. Defaults to true.
	// +optional
	Chat *bool `json:"chat,omitempty"`

	// pm specifies whether users can give commands by private message. Defaults to true.
	// +optional
	PM *bool `json:"pm,omitempty"`

	// cooldown is the time between two commands in the chat: at most an hour. Defaults to 5 seconds for a user.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.userSeconds) || self.userSeconds <= 3600) && (!has(self.channelSeconds) || self.channelSeconds <= 3600)",message="expected at most 3600 seconds; that of one command, in overrides, can be longer"
	Cooldown CommandCooldown `json:"cooldown,omitzero"`

	// overrides change commands, whatever the bot or a plugin declares about them.
	// +optional
	// +listType=map
	// +listMapKey=command
	// +kubebuilder:validation:MaxItems=100
	Overrides []CommandOverride `json:"overrides,omitempty"`

	// ignore are users whose lines call no command, such as other bots.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	Ignore []UserName `json:"ignore,omitempty"`
}

// CommandCooldown specifies how long users wait until they can give a command again.
type CommandCooldown struct {
	// userSeconds is how many seconds a user waits.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	UserSeconds *int32 `json:"userSeconds,omitempty"`

	// channelSeconds is how many seconds all users of the channel wait.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	ChannelSeconds *int32 `json:"channelSeconds,omitempty"`
}

// CommandOverride changes a command.
type CommandOverride struct {
	// command is the declared name of the command or an alias, or PLUGIN.COMMAND for that of one plugin.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=61
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]{1,30}[.])?[a-z0-9_-]{1,30}$')",message="expected the name of a command, or PLUGIN.COMMAND: lower case letters, digits, '-' and '_'"
	Command string `json:"command,omitempty"`

	// disabled specifies that nobody can give the command. Defaults to false.
	// +optional
	Disabled bool `json:"disabled,omitempty"`

	// name is another name for the command. Defaults to the one that is declared.
	// +optional
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[^[:space:][:cntrl:]/.A-Z]+$')",message="expected 1 to 30 characters without spaces, '/', '.' and capital letters"
	Name string `json:"name,omitempty"`

	// rank is the lowest rank of users who can give the command, as CyTube counts: 0 is a guest, 1 a registered user, 2 a
	// moderator, 3 an administrator of the channel, 4 its owner. Defaults to the one that is declared.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	Rank *int32 `json:"rank,omitempty"`

	// allow are users who can give the command whatever their rank is.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	Allow []UserName `json:"allow,omitempty"`

	// deny are users who cannot give the command.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	Deny []UserName `json:"deny,omitempty"`

	// cooldown replaces the one that is declared.
	// +optional
	Cooldown CommandCooldown `json:"cooldown,omitzero"`
}
