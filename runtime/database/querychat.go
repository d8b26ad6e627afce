package database

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/store"
)

const (
	// maxSearched and maxSearchTime bound what one request for chat reads.
	maxSearched   = 50_000
	maxSearchTime = 300 * time.Millisecond
)

// chatQuery is bus.ChatRequest as clients send it.
type chatQuery struct {
	span
	page
	Order    bus.Order `json:"order"`
	Username text      `json:"username"`
	Words    text      `json:"words"`
	origin
}

func (q chatQuery) check() error {
	err := firstError(q.span.check(), q.page.check(), checkOneOf("order", q.Order, bus.Ascending, bus.Descending),
		checkWords("username", q.Username), checkWords("words", q.Words))
	if err == nil && len(strings.Fields(string(q.Words))) > bus.MaxWords {
		return &fieldError{"words", fmt.Sprintf("at most %d words", bus.MaxWords)}
	}
	return err
}

func (q chatQuery) cost() queryCost {
	if q.Words != "" || q.Username != "" {
		return readsMuch
	}
	return readsLittle
}

// chat answers bus.QueryChat.
func (e *Engine) chat(ctx context.Context, channel store.Channel, request chatQuery, in queryInput) (any, error) {
	back := request.Cursor.Back
	ascending := (request.Order == bus.Ascending) != back
	found, err := e.store.Chat(ctx, channel, store.ChatQuery{
		Span: request.times(), Ascending: ascending, After: request.Cursor.position(),
		Match: matchLines(string(request.Username), string(request.Words)),
		Limit: request.limit(), MaxBytes: in.maxBytes, MaxRead: maxSearched, Until: time.Now().Add(maxSearchTime),
	})
	if err != nil {
		return nil, err
	}
	items := chatItems(found.Lines)
	if fit := fits(items, in.maxBytes); fit < len(items) {
		items = items[:fit]
		last := found.Lines[fit-1]
		found.Read, found.More = &store.Position{At: last.At, ID: last.ID}, true
	}
	result := bus.ChatReply{Success: true, Items: items}
	var first, last *place // of what was read, in the direction of reading
	if found.Read != nil {
		result.ReadToMS = found.Read.At.UnixMilli()
		last = new(placeOf(found.Read.At, found.Read.ID))
	}
	switch {
	case len(found.Lines) > 0:
		first = new(placeOf(found.Lines[0].At, found.Lines[0].ID))
	case request.Cursor.set: // the way back is open although nothing was found
		first = new(request.Cursor.beyond(ascending))
	}
	if !found.More {
		last = nil
	}
	if back {
		slices.Reverse(result.Items)
		result.Next, result.Previous = encodePlace(first, false), encodePlace(last, true)
		return result, nil
	}
	result.Next = encodePlace(last, false)
	if request.Cursor.set {
		result.Previous = encodePlace(first, true)
	}
	return result, nil
}

// beyond returns a place so little behind that of a cursor, in the direction of time, that the way back from it begins
// with the line of the cursor.
func (c cursor) beyond(ascending bool) place {
	if ascending {
		return place{At: c.At + 1}
	}
	return place{At: c.At}
}

func encodePlace(at *place, back bool) string {
	if at == nil {
		return ""
	}
	at.Back = back
	return at.encode()
}

func chatItems(rows []store.ChatRow) []bus.ChatItem {
	items := make([]bus.ChatItem, 0, len(rows))
	for _, row := range rows {
		items = append(items, bus.ChatItem{
			ID: row.ID, AtMS: row.At.UnixMilli(), Username: row.Username, Message: row.Text,
		})
	}
	return items
}

// matchLines returns a function that reports whether a line is of a user and has all of the words. It is nil if all
// lines match. The function is for one goroutine.
func matchLines(username, words string) func(store.RecentLine) bool {
	user := store.Fold(store.CleanText(username))
	folder := cases.Fold()
	wanted := strings.Fields(foldText(folder, words))
	if user == "" && len(wanted) == 0 {
		return nil
	}
	return func(line store.RecentLine) bool {
		if user != "" && store.Fold(line.Username) != user {
			return false
		}
		if len(wanted) == 0 {
			return true
		}
		plain := line.Text
		if strings.ContainsAny(plain, "<&") { // HTML takes long to read, and most lines have none
			plain = cytube.PlainText(plain)
		}
		plain = foldText(folder, plain)
		return !slices.ContainsFunc(wanted, func(word string) bool { return !strings.Contains(plain, word) })
	}
}

// foldText returns a text as texts are compared: letters of any script regardless of case, and with accents written in
// one way.
func foldText(folder cases.Caser, text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return norm.NFC.String(folder.String(text))
		}
	}
	return strings.ToLower(text)
}
