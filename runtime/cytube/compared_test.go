package cytube

import (
	"path/filepath"
	"strings"
	"testing"
)

// comparedDir holds recordings of several clients at once on a real server, with what the captures do not show: videos,
// leaders, polls, ranks, moderation.
const comparedDir = "../../hack/cytube/simulator/testdata/compared"

// unused are events that the client does not decode, because nothing reads them.
var unused = map[string]bool{
	"channelCSSJS": true, "setMotd": true, "drinkCount": true,
	"emoteList": true, "updateEmote": true, "renameEmote": true, "removeEmote": true,
	"listPlaylists": true, "cancelNeedPassword": true, "clearVoteskipVote": true, "channelRankFail": true,
	"costanza": true, "setTemp": true,
}

// TestDecodeComparedRecordings decodes every frame of a real server in these recordings.
func TestDecodeComparedRecordings(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(comparedDir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d recordings (%v)", len(files), err)
	}
	seen := map[string]int{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		for _, frame := range readCapture(t, "../compared/"+name) {
			if frame.Dir != "in" {
				continue
			}
			got, err := decodePacket([]byte(frame.Frame))
			if err != nil {
				t.Fatalf("%s: %s: %v", name, frame.Frame, err)
			}
			if got.kind != packetEvent {
				continue
			}
			received, err := decodeEvent(got.payload)
			if err != nil {
				t.Errorf("%s: %s: %v", name, frame.Frame, err)
				continue
			}
			seen[received.Name]++
			if _, unknown := received.Event.(Unknown); unknown && !unused[received.Name] {
				t.Errorf("%s: the client does not know %s", name, received.Name)
			}
		}
	}
	for _, event := range []string{
		"moveVideo", "setTemp", "delete", "mediaUpdate", "setLeader", "voteskip",
		"queueFail", "noflood", "setPermissions",
	} {
		if seen[event] == 0 {
			t.Errorf("no %s in the recordings", event)
		}
	}
}
