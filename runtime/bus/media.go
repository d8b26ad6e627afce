package bus

// Media is something that is played in a channel, or is to be.
type Media struct {
	// Type is CyTube's two-letter name of the provider, such as "yt", and ID the provider's ID of it, or a URL. Together
	// they say what it is.
	Type string `json:"type"`
	ID   string `json:"id"`
	// Title is plain text, which whoever added it may have chosen.
	Title string `json:"title"`
	// Seconds is the length. 0: a live stream, or unknown.
	Seconds int `json:"seconds"`
	// QueuedBy is the user who added it to the playlist. Empty: unknown, since the bot may not see the playlist.
	QueuedBy string `json:"queued_by,omitempty"`
}

// MediaPayload is the body of MediaPlayed. Origin.Timestamp is when it began to play, as far as its position tells. A
// bot publishes one for everything that begins to play, and again for what plays when it joins the channel, so one play
// may be reported several times: reports on one Media whose times differ by less than a minute are about one play, and
// so is one with Found and the report before it, if that is on the same Media and not more than a day older.
type MediaPayload struct {
	Media
	// Found is when a bot that joined the channel found it playing. Absent: it began while the bot was there. After a
	// pause or a jump the position does not tell when it began.
	Found Seconds `json:"found,omitzero"`
	Origin
}
