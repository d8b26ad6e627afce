package cytube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/status"
)

// sendTo returns a connection to a server that sends frames after the bot has joined, and an event after them.
func sendTo(t *testing.T, frames ...string) *Conn {
	t.Helper()
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		for _, frame := range append(frames, `42["usercount",7]`) {
			if ws.Write(t.Context(), websocket.MessageText, []byte(frame)) != nil {
				return // the test has ended
			}
		}
		if _, got, err := ws.Read(t.Context()); err == nil {
			t.Errorf("the bot sends %.20q… of %d bytes", got, len(got))
		}
	})
	return dialAnonymous(t, Options{Server: server})
}

// list returns the frame of a list of count elements of the form, which has a verb for the element's number.
func list(event, form string, count int) string {
	var frame strings.Builder
	fmt.Fprintf(&frame, `42["%s",[`, event)
	for i := range count {
		if i > 0 {
			frame.WriteByte(',')
		}
		fmt.Fprintf(&frame, form, i)
	}
	frame.WriteString("]]")
	return frame.String()
}

// A long frame must cost one event, not the connection, nor memory. TestHostileServerDoesNotEndTheBot in cmd/rosey
// measures the memory.
func TestFramesLongerThanCyTubeSendsAreDropped(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, test := range map[string]struct {
		frame string
		want  FrameError
	}{
		"unknown event": {`42["oversize",["` + long + `"]]`, FrameError{Kind: "long frame"}},
		"line":          {`42["chatMsg",{"username":"alice","msg":"` + long + `"}]`, FrameError{Kind: "chatMsg"}},
		"escaped name": {
			`42["chat\u004dsg",{"msg":"` + long[:100_000] + `"}]`, FrameError{Kind: "chatMsg", Size: 100_027},
		},
		"name of an event":  {`42["` + long + `"]`, FrameError{Kind: "long frame"}},
		"shorter name":      {`42["` + long[:1000] + `"]`, FrameError{Kind: "event", Size: 1004}},
		"ping":              {"2" + long, FrameError{Kind: "long frame"}},
		"other namespace":   {"42/x," + long, FrameError{Kind: "long frame"}},
		"name of a user":    {`42["addUser",{"name":"` + long[:200] + `"}]`, FrameError{Kind: "addUser", Size: 211}},
		"element of a list": {`42["playlist",[{"uid":1},{"media":{"title":"` + long + `"}}]]`, FrameError{Kind: "playlist"}},
		"white space":       {`42["userlist",` + strings.Repeat(" ", 1<<20) + `[]]`, FrameError{Kind: "userlist"}},
		"no list":           {`42["userlist",{"a":"` + long + `"}]`, FrameError{Kind: "userlist"}},
		"unfinished list": {
			strings.TrimSuffix(list("userlist", `{"name":"u%d"}`, 100_000), "]]"), FrameError{Kind: "userlist"},
		},
		"numbers for users": {list("userlist", "%d", 200_000), FrameError{Kind: "userlist"}},
		"digits of an ID":   {"42" + strings.Repeat("1", 1<<20) + `["usercount",1]`, FrameError{Kind: "long frame"}},
		"nested":            {`42["x",` + strings.Repeat("[", 400_000), FrameError{Kind: "event", Size: 400_005}},
		"deep and closed": {
			`42["x",` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "]",
			FrameError{Kind: "event", Size: 40_006},
		},
		"many arguments": {
			`42["usercount"` + strings.Repeat(",1", 50_000) + "]", FrameError{Kind: "usercount", Size: 100_015},
		},
		"connected, longer":  {"40" + long, FrameError{Kind: "long frame"}},
		"kick with a reason": {`42["kick",{"reason":"` + long + `"}]`, FrameError{Kind: "kick"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := sendTo(t, test.frame)
			malformed, ok := next(t, conn).(Malformed)
			if test.want.Size == 0 {
				test.want.Size = len(test.frame)
			}
			if !ok || *malformed.Err != test.want {
				t.Errorf("%+v, want %+v", malformed.Err, test.want)
			}
			if diff := cmp.Diff(Event(UserCount{7}), next(t, conn)); diff != "" {
				t.Errorf("next event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFrameThatNeverEndsClosesTheConnection(t *testing.T) {
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		ctx := ws.CloseRead(t.Context()) // answers pings
		writer, err := ws.Writer(ctx, websocket.MessageText)
		must(t, err)
		_, err = writer.Write([]byte(`42["userlist",[`))
		users := []byte(strings.Repeat(`{"name":"u","other":"`+strings.Repeat("x", 10_000)+`"},`, 100))
		for sent := 0; err == nil && sent < 64<<20; sent += len(users) {
			_, err = writer.Write(users)
		}
		if err == nil {
			t.Error("the client reads 64 MB")
		}
	})
	_, err := dialAnonymous(t, Options{Server: server}).Next(t.Context())
	checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "the server sent a frame that is too long"})
}

func TestListsAreCut(t *testing.T) {
	user := `{"name":"user%06d","rank":1,"meta":{"afk":false}}`
	users, ok := next(t, sendTo(t, list("userlist", user, 100_000))).(UserList)
	if !ok || len(users.Users) != maxItems || users.Users[maxItems-1].Name != "user009999" {
		t.Errorf("%d users", len(users.Users))
	}
	item := `{"media":{"id":"` + strings.Repeat("i", 3000) + `","title":"` + strings.Repeat("é", 1000) + `"},"uid":%d}`
	items, ok := next(t, sendTo(t, list("playlist", item, 3000))).(Playlist)
	text := 0
	for _, item := range items.Items {
		text += item.textSize()
	}
	if !ok || text > maxListText || len(items.Items) < 1000 {
		t.Errorf("%d items with %d bytes of text", len(items.Items), text)
	}
	if title := items.Items[0].Media.Title; title != strings.Repeat("é", maxTitle/2) {
		t.Errorf("title of %d bytes: %q", len(title), title)
	}
}

// The longest list of a real server is the playlist; CyTube's default limit is 4000 items.
func TestLongPlaylistsOfRealServersAreRead(t *testing.T) {
	media := make([]simulator.Media, 9000)
	for i := range media {
		media[i] = simulator.Media{
			ID: fmt.Sprintf("https://media.example.com/films/%06d/master.m3u8?token=%064d", i, i), Type: "hl",
			Title: fmt.Sprintf("%05d %s", i, strings.Repeat("長い題名", 20)), Seconds: 5400, QueueBy: "somebody_with_20_char",
		}
	}
	_, server := simulatortest.Start(t, simulator.Options{
		Channels: []simulator.ChannelOptions{{Name: "movienight", Playlist: media}},
	})
	conn, err := Dial(t.Context(), Options{Server: server, Channel: "movienight"})
	must(t, err)
	t.Cleanup(conn.Close)
	for {
		received, err := conn.Next(t.Context())
		must(t, err)
		list, ok := received.Event.(Playlist)
		if !ok {
			continue
		}
		last := list.Items[len(list.Items)-1].Media
		if len(list.Items) != len(media) || last.Title != media[len(media)-1].Title {
			t.Errorf("%d items, the last is %+v", len(list.Items), last)
		}
		if received.Raw != nil {
			t.Errorf("%d bytes are kept beside the items", len(received.Raw))
		}
		return
	}
}

// A server must not fill the memory with events while the bot waits for the answer to its login.
func TestFloodBeforeTheJoinIsRefused(t *testing.T) {
	for name, frame := range map[string]string{
		"many": `42["usercount",1]`, "large": `42["motd","` + strings.Repeat("x", 400_000) + `"]`,
		"lists": list("playlist", `{"media":{"title":"`+strings.Repeat("x", 400)+`"},"uid":%d}`, 3000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serveSocket(t, func(ws *websocket.Conn) {
				admit(t, ws, openFrame)
				read(t, ws) // the login
				for range 100_000 {
					if ws.Write(t.Context(), websocket.MessageText, []byte(frame)) != nil {
						return
					}
				}
				t.Error("the client takes everything")
			})
			_, err := Dial(t.Context(), Options{Server: server, Channel: "movienight", Username: "rosey"})
			checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "too much before the bot has joined"})
		})
	}
}

// Events that nobody has asked for yet must not add up: the server has to wait.
func TestUnreadEventsAreBounded(t *testing.T) {
	frame := `42["motd","` + strings.Repeat("x", 400_000) + `"]`
	ended := make(chan int, 1)
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		sent := 0
		for ws.Write(t.Context(), websocket.MessageText, []byte(frame)) == nil {
			sent++
		}
		ended <- sent
	})
	conn := dialAnonymous(t, Options{Server: server})
	for conn.room.TryAcquire(maxQueued / 4) { // until most of the room is taken
		conn.room.Release(maxQueued / 4)
		time.Sleep(time.Millisecond)
	}
	if waiting := len(conn.events); waiting*len(frame) > 2*maxQueued {
		t.Errorf("%d frames of %d bytes wait", waiting, len(frame))
	}
	conn.Close()
	if sent := <-ended; sent > 200 {
		t.Errorf("%d frames were sent", sent)
	}
}

func TestRefusalsAreShortAndPrintable(t *testing.T) {
	nasty := strings.Repeat(`\u001b[31m\u202e\u0007\n`, 500)
	for _, frame := range []string{
		`42["kick",{"reason":"` + nasty + `"}]`, `42["errorMsg",{"msg":"` + nasty + `"}]`,
		`42["queueFail",{"msg":"` + nasty + `"}]`, `42["noflood",{"action":"chat","msg":"` + nasty + `"}]`,
		`42["spamFiltered",{"reason":"` + nasty + `"}]`, `42["login",{"success":false,"error":"` + nasty + `"}]`,
	} {
		text := fmt.Sprintf("%+v", next(t, sendTo(t, frame)))
		if len([]rune(text)) > maxRefusal+100 || text != status.OneLine(text, maxRefusal+100) {
			t.Errorf("%.20s: %.200q", frame, text)
		}
	}
}

// With another name the bot would take somebody else's lines for its own.
func TestLoginAsSomebodyElseIsRefused(t *testing.T) {
	for _, name := range []string{"alice", "", "rosey2", `\u001b[31mrosey`} {
		server := serveSocket(t, func(ws *websocket.Conn) {
			admit(t, ws, openFrame)
			read(t, ws)
			write(t, ws, `42["login",{"success":true,"name":"`+name+`"}]`)
			_, _, _ = ws.Read(t.Context())
		})
		_, err := Dial(t.Context(), Options{Server: server, Channel: "movienight", Username: "Rosey", Password: "pw"})
		checkError(t, err, Error{Reason: status.ReasonLoginRefused, Message: "the server says that the bot is"})
		checkPrintable(t, err)
	}
}

// The handshake is bounded like everything else.
func TestHandshakesAreBounded(t *testing.T) {
	for name, frames := range map[string][]string{
		"long open packet": {"0" + strings.Repeat(" ", 8<<20) + "{}"},
		"other packets":    {strings.Repeat("6", 8<<20), `42["` + strings.Repeat("x", 8<<20) + `"]`},
		"refusal":          {openFrame, `44{"message":"` + strings.Repeat(`\u001b\u202e`, 200) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			server := serveSocket(t, func(ws *websocket.Conn) {
				for _, frame := range frames {
					if ws.Write(t.Context(), websocket.MessageText, []byte(frame)) != nil {
						return
					}
				}
			})
			_, err := Dial(t.Context(), Options{Server: server, Channel: "movienight"})
			checkPrintable(t, err)
		})
	}
}
