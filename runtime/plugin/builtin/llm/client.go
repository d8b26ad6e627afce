package llm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"rosey.dev/rosey/runtime/plugin"
)

// The API for chat completions is spoken here with net/http alone: the official client library makes the program larger
// by half, for one request. docs/plugins.md has the figures.

// request is a question to an endpoint.
type request struct {
	endpoint, model, key, keyName string
	messages                      []message
	maxTokens                     int
	tokensField                   string
	temperature                   *float64
	allowPrivate                  bool
}

// answer is what came.
type answer struct {
	text string
	// tokens are those of question and answer together. Nil: they are not known.
	tokens *int64
}

const (
	// maxResponse bounds an answer as it comes, of which most is JSON around a few letters at a time.
	maxResponse = 8 << 20
	// maxText bounds the text of an answer, in bytes. What follows cannot be said anyway.
	maxText = 32 << 10
	// maxErrorBody bounds what is read of an answer that is an error.
	maxErrorBody = 8 << 10
	// bytesPerToken is how many bytes a token has at least, about: the estimate may be too high.
	bytesPerToken = 3
	// tokensPerMessage is what a message adds beside its text.
	tokensPerMessage = 8
)

// estimate returns how many tokens the question and the longest answer have, about.
func (r request) estimate() int64 {
	tokens := r.maxTokens
	for _, one := range r.messages {
		tokens += (len(one.Content)+bytesPerToken-1)/bytesPerToken + tokensPerMessage
	}
	return int64(tokens)
}

// body returns the request as JSON.
func (r request) body() ([]byte, error) {
	fields := map[string]any{
		"model": r.model, "messages": r.messages, "stream": true, r.tokensField: r.maxTokens,
		"stream_options": map[string]any{"include_usage": true},
	}
	if r.temperature != nil {
		fields["temperature"] = *r.temperature
	}
	encoded, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encoding the question: %w", err)
	}
	return encoded, nil
}

// ask asks an endpoint and returns the whole answer. An answer that ends in the middle is an error. The tokens of an
// error are 0 if the endpoint has done nothing.
func ask(ctx context.Context, r request) (answer, error) {
	body, err := r.body()
	if err != nil {
		return answer{tokens: new(int64)}, err
	}
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, r.endpoint+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return answer{tokens: new(int64)}, errors.New("the setting endpoint is no URL")
	}
	asked.Header.Set("Content-Type", "application/json")
	asked.Header.Set("Accept", "text/event-stream, application/json")
	if r.key != "" {
		asked.Header.Set("Authorization", "Bearer "+r.key)
	}
	client := plugin.NewHTTPClient(plugin.HTTPOptions{AllowPrivate: r.allowPrivate, MaxBytes: maxResponse})
	response, err := client.Do(asked)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, io.ErrUnexpectedEOF):
		return answer{}, err
	case err != nil:
		return answer{tokens: new(int64)}, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return answer{tokens: new(int64)}, r.refusal(response)
	}
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "text/event-stream":
		return r.readStream(response.Body)
	case err == nil && kind == "application/json":
		return r.readWhole(response.Body)
	}
	return answer{}, fmt.Errorf("the endpoint answers %q, expected text/event-stream or application/json: it is not "+
		"that of an API of chat completions", plugin.Cut(strings.Join(plugin.Spoken(kind, 1), ""), 40))
}

// refusal returns an error for an answer that is not 200.
func (r request) refusal(response *http.Response) error {
	switch status := response.StatusCode; status {
	case http.StatusUnauthorized, http.StatusForbidden:
		// Its text is not told: it often has a part of the key.
		return fmt.Errorf("the endpoint answers %d: it does not accept the key in %s", status, r.keyName)
	case http.StatusTooManyRequests:
		return fmt.Errorf("the endpoint answers %d: it is asked too often, or has no credit left", status)
	default:
		var body struct {
			Error json.RawMessage `json:"error"`
		}
		text, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
		if err == nil && json.Unmarshal(text, &body) == nil {
			return fmt.Errorf("the endpoint answers %d%s", status, r.reason(body.Error))
		}
		return fmt.Errorf("the endpoint answers %d", status)
	}
}

// reason returns the text of an error of the API, without the key: ": " and the text, or nothing.
func (r request) reason(encoded json.RawMessage) string {
	var object struct {
		Message string `json:"message"`
	}
	text := ""
	if json.Unmarshal(encoded, &object) == nil {
		text = object.Message
	} else if json.Unmarshal(encoded, &text) != nil {
		return ""
	}
	if r.key != "" {
		text = strings.ReplaceAll(text, r.key, "…")
	}
	if text = strings.Join(plugin.Spoken(text, 1), ""); text == "" {
		return ""
	}
	return ": " + plugin.Cut(text, 120)
}

// content is what the model has written.
type content struct {
	Content string `json:"content"`
}

// chunk is a part of an answer, or all of it.
type chunk struct {
	Choices []struct {
		Delta        content `json:"delta"`
		Message      content `json:"message"`
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Total int64 `json:"total_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// errCutOff means that an answer ended in the middle.
var errCutOff = errors.New("the answer ended in the middle")

// readWhole reads an answer that is one document.
func (r request) readWhole(body io.Reader) (answer, error) {
	var all chunk
	if err := json.NewDecoder(body).Decode(&all); err != nil {
		return answer{}, decodingError(err)
	}
	got := answer{tokens: all.used()}
	switch {
	case hasError(all.Error):
		return got, fmt.Errorf("the endpoint answers with an error%s", r.reason(all.Error))
	case len(all.Choices) == 0:
		return got, errors.New("the answer has no choices")
	}
	got.text = bounded(all.Choices[0].Message.Content)
	return got, nil
}

// readStream reads an answer of server-sent events.
func (r request) readStream(body io.Reader) (answer, error) {
	var got streamed
	scanner := bufio.NewScanner(body)
	scanner.Buffer(nil, maxResponse)
	for !got.isDone && scanner.Scan() {
		err := got.take(scanner.Text())
		if broken := scanner.Err(); err != nil && broken != nil {
			err = decodingError(broken) // the line is the last, and ended in the middle
		}
		if failed, isFailure := errors.AsType[endpointError](err); isFailure {
			err = fmt.Errorf("the endpoint answers with an error%s", r.reason(failed.encoded))
		}
		if err != nil {
			return answer{tokens: got.tokens}, err
		}
	}
	switch err := scanner.Err(); {
	case err != nil:
		return answer{tokens: got.tokens}, decodingError(err)
	case !got.isDone && !got.isFinished:
		return answer{tokens: got.tokens}, errCutOff
	}
	return answer{text: got.text.String(), tokens: got.tokens}, nil
}

// streamed is what has come of a stream.
type streamed struct {
	text       strings.Builder
	tokens     *int64
	isFinished bool // the model has written all
	isDone     bool // the stream has ended
}

// endpointError is an error that the API reports in a stream.
type endpointError struct{ encoded json.RawMessage }

func (endpointError) Error() string { return "an error of the endpoint" }

// take takes a line of a stream.
func (s *streamed) take(line string) error {
	data, isData := strings.CutPrefix(line, "data:")
	data = strings.TrimSpace(data)
	switch {
	case !isData || data == "":
		return nil // a comment, which keeps the connection open, or a field of no use
	case data == "[DONE]":
		s.isDone = true
		return nil
	}
	var part chunk
	if err := json.Unmarshal([]byte(data), &part); err != nil {
		return decodingError(err)
	}
	if hasError(part.Error) {
		return endpointError{part.Error}
	}
	if used := part.used(); used != nil {
		s.tokens = used
	}
	if len(part.Choices) > 0 {
		if s.text.Len() < maxText {
			s.text.WriteString(bounded(part.Choices[0].Delta.Content))
		}
		s.isFinished = s.isFinished || part.Choices[0].FinishReason != ""
	}
	return nil
}

// used returns the tokens that a part says were used. Nil: it says nothing, or nothing that can be true.
func (c chunk) used() *int64 {
	if c.Usage == nil || c.Usage.Total <= 0 || c.Usage.Total > maxUsage {
		return nil
	}
	return &c.Usage.Total
}

// maxUsage is more than any answer uses.
const maxUsage = 10_000_000

func hasError(encoded json.RawMessage) bool { return len(encoded) > 0 && string(encoded) != "null" }

func bounded(text string) string { return text[:min(len(text), maxText)] }

// decodingError returns an error about an answer that cannot be read, without what it has.
func decodingError(err error) error {
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	_, isType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case isSyntax:
		return fmt.Errorf("the answer is no JSON at byte %d", syntax.Offset)
	case isType:
		return errors.New("the answer is not that of an API of chat completions")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errCutOff
	case errors.Is(err, bufio.ErrTooLong):
		return errors.New("the answer has a line that is too long")
	}
	return err // of the HTTP client
}
