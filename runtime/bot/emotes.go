package bot

import "rosey.dev/rosey/runtime/cytube"

// emotes are the pictures' URLs by the word for them.
type emotes map[string]string

func (e emotes) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.EmoteList:
		clear(e)
		for _, emote := range event.Emotes {
			e[emote.Name] = emote.Image
		}
	case cytube.UpdateEmote:
		e[event.Emote.Name] = event.Emote.Image
	case cytube.RenameEmote:
		delete(e, event.Old)
		e[event.Emote.Name] = event.Emote.Image
	case cytube.RemoveEmote:
		delete(e, event.Name)
	}
}
