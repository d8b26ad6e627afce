package command

import (
	"testing"
	"testing/synctest"

	"rosey.dev/rosey/runtime/cytube"
)

// TestNamesThatAFilterOfTheChannelChanged checks that a name is found in the user list if it can be only one.
func TestNamesThatAFilterOfTheChannelChanged(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled(">", 0), func(r *rig) {
		for _, name := range []string{"the_real_bob", "a_b", "ab_"} {
			r.arrive(cytube.AddUser{User: cytube.User{Name: name}})
		}
		for _, test := range []struct{ html, want string }{
			{"pm the<u>real</u>bob hi", "the_real_bob: hi"},
			{"pm therealbob hi", "mod: pm: there is no user of that name in the channel"},
			{"pm <u>ab</u> hi", "mod: pm: there is no user of that name in the channel"},
			{"pm a_b <u>hi</u>", "a_b: hi"},
		} {
			r.pmFrom("mod", test.html)
			synctest.Wait()
			if said := r.take(&r.said); len(said) == 0 || said[0] != test.want {
				t.Errorf("%s: %q, want %q", test.html, said, test.want)
			}
		}
		r.arrive(cytube.ChatMessage{User: "alice", HTML: "&gt;seen the<u>real</u>bob", Kind: "greentext"})
		r.expect("a command with the prefix >", &r.said, "the_real_bob is here")
	})
}
