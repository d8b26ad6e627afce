package dashboards

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

const (
	picture = "../../docs/dashboards.svg"
	// The size of a cell of Grafana's grid, which has 24 columns, and of the margins, in pixels.
	cellWidth, cellHeight, margin = 34, 12, 12
)

// draw returns a picture of where the panels of the dashboards are.
func draw(boards map[string]dashboard.Dashboard) []byte {
	var body strings.Builder
	top := uint32(0)
	for _, name := range []string{"fleet.json", "bot.json", "operator.json"} {
		board := boards[name]
		fmt.Fprintf(&body, `<text class="board" x="%d" y="%d">%s</text>`+"\n", margin, top+24, *board.Title)
		top += 32
		bottom := uint32(0)
		for _, each := range board.Panels {
			title, at := place(each)
			x, y, width := margin+at.X*cellWidth, top+at.Y*cellHeight, at.W*cellWidth
			bottom = max(bottom, at.Y+at.H)
			if each.RowPanel != nil {
				fmt.Fprintf(&body, `<text class="row" x="%d" y="%d">%s</text>`+"\n", x, y+10, html.EscapeString(title))
				continue
			}
			kind := each.Panel.Type
			if unit := *each.Panel.FieldConfig.Defaults.Unit; unit != units.Short {
				kind += ", " + unit
			}
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%d" height="%d"/><text x="%d" y="%d">%s</text>`+
				`<text class="kind" x="%d" y="%d">%s</text>`+"\n",
				x+2, y+2, width-4, at.H*cellHeight-4, x+8, y+17, html.EscapeString(title),
				x+8, y+31, html.EscapeString(kind))
		}
		top += bottom*cellHeight + 2*margin
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" `+
		`font-size="11">`+"\n"+`<style>rect{fill:#f4f5f7;stroke:#b9bec7}.board{font-size:16px;font-weight:bold}`+
		`.row{font-weight:bold;fill:#555}.kind{fill:#777;font-size:10px}</style>`+"\n"+
		`<rect style="fill:#fff;stroke:none" width="100%%" height="100%%"/>`+"\n%s</svg>\n",
		24*cellWidth+2*margin, top, body.String())
}

// The picture in the documents is that of the dashboards.
func TestPictureOfTheDashboards(t *testing.T) {
	drawn := draw(load(t))
	if *update {
		if err := os.WriteFile(picture, drawn, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(picture); err != nil || !bytes.Equal(kept, drawn) {
		t.Errorf("%s differs from what is drawn: go test ./hack/dashboards -update (%v)", picture, err)
	}
}
