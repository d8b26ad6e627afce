package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

var update = flag.Bool("update", false, "write openapi.json")

// object is a JSON object.
type object = map[string]any

// operation is what the document says about one path and method.
type operation struct {
	summary string
	// parameters are those of the query, with the schema of each.
	parameters []parameter
	body       any
	code       int
	reply      any
}

type parameter struct {
	name, description string
	schema            object
}

func text(name, description string, values ...string) parameter {
	schema := object{"type": "string"}
	if len(values) > 0 {
		schema["enum"] = values
	}
	return parameter{name: name, description: description, schema: schema}
}

func number(name, description string, lowest, highest int64) parameter {
	return parameter{name, description, object{"type": "integer", "minimum": lowest, "maximum": highest}}
}

func span() []parameter {
	return []parameter{
		number("from_ms", "What happened from then on. Milliseconds since 1970 UTC.", 0, maxMillis),
		number("to_ms", "What happened before. Milliseconds since 1970 UTC.", 0, maxMillis),
	}
}

func list(more ...parameter) []parameter {
	return append([]parameter{
		number("limit", "The highest number of items. Default 50. There may be fewer although there is a next page.", 1,
			bus.MaxQueryLimit),
		text("cursor", "The next of an earlier reply; all other parameters have to be the same."),
	}, more...)
}

func zoneParameter() parameter {
	return number("utc_offset", "How many minutes the zone of days and hours is ahead of UTC. Default 0.",
		-bus.MaxUTCOffsetMinutes, bus.MaxUTCOffsetMinutes)
}

// operations are what the document describes, by pattern.
func operations() map[string]operation {
	order := text("order", "The order.", string(bus.Ascending), string(bus.Descending))
	return map[string]operation{
		"GET /api/v1/openapi.json": {summary: "This document.", code: 200, reply: object{}},
		"GET /api/v1/state": {
			summary: "What plays, what comes next and who is there, as the bot says.", code: 200, reply: apiState{},
		},
		"GET /api/v1/chat": {
			summary: "Lines of chat. A search reads at most 50,000 lines: it may end with few items or none, and next.",
			parameters: slices.Concat(span(), list(order, text("username", "The lines of one user, for readers of people."),
				text("words", "Lines whose text contains all of the words."))),
			code: 200, reply: bus.ChatReply{},
		},
		"GET /api/v1/counts": {
			summary: "How many people there were over time, by default of the last day. Joins are for readers of people.",
			parameters: slices.Concat(span(), []parameter{
				number("points", "The highest number of items. Default 300.", 2, bus.MaxCountPoints),
			}),
			code: 200, reply: bus.UserCountsReply{},
		},
		"GET /api/v1/people": {
			summary: "Everybody who was ever seen.",
			parameters: list(order, text("sort", "What the list is ordered by.", string(bus.UsersByLines),
				string(bus.UsersByHours), string(bus.UsersByFirstSeen), string(bus.UsersByLastSeen), string(bus.UsersByName)),
				text("filter", "A part of the name.")),
			code: 200, reply: bus.UsersReply{},
		},
		"GET /api/v1/people/{name}": {
			summary:    "One person: sessions, lines by weekday and hour and by day, last lines.",
			parameters: append(span(), zoneParameter()), code: 200, reply: bus.UserReply{},
		},
		"GET /api/v1/films": {
			summary: "What was played. The lists of one user and by user are for readers of people.",
			parameters: slices.Concat(span(), list(
				text("by", "Each play, each item once, or each user once.", string(bus.MediaPlays), string(bus.MediaByItem),
					string(bus.MediaByUser)), text("username", "What one user has queued."))),
			code: 200, reply: bus.MediaReply{},
		},
		"GET /api/v1/records": {
			summary: "The most people, the longest session and the busiest day.", parameters: []parameter{zoneParameter()},
			code: 200, reply: bus.RecordsReply{},
		},
		"GET /api/v1/plugins": {
			summary: "The commands of the bot and its plugins, as the bot says. Overrides, and why a plugin is away, are for " +
				"who has a token.",
			code: 200, reply: bus.ChannelCommands{},
		},
		"GET /api/v1/plugins/actions": {
			summary:    "What plugins said and did, the newest first.",
			parameters: slices.Concat(span(), list(text("plugin", "What one plugin did."))),
			code:       200, reply: bus.PluginActionsReply{},
		},
		"GET /api/v1/outbound": {
			summary: "What the bot is to say and has said.",
			parameters: list(text("state", "Lines in one state.", string(bus.OutboundWaits), string(bus.OutboundClaimed),
				string(bus.OutboundSaid), string(bus.OutboundAbandoned), string(bus.OutboundCancelled))),
			code: 200, reply: bus.OutboundListReply{},
		},
		"POST /api/v1/outbound": {
			summary: "Queues a line. One that begins with a slash needs a token for commands.", body: apiLine{}, code: 201,
			reply: apiQueued{},
		},
		"DELETE /api/v1/outbound/{id}": {
			summary: "Takes back a line that waits. 404: there is none. 409: it is not waiting any more.", code: 200,
			reply: bus.OutboundCancelReply{},
		},
	}
}

// source is what the sources of the types say that reflection does not: comments, by package.Type and
// package.Type.field, and the constants of a type, by package.Type.
type source struct {
	comments  map[string]string
	constants map[string][]string
}

// readSource reads the packages of the types of the API.
func readSource(t *testing.T) source {
	t.Helper()
	read := source{comments: map[string]string{}, constants: map[string][]string{}}
	for _, dir := range []string{".", "../bus", "../status"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, declared := range file.Decls {
				if general, isGeneral := declared.(*ast.GenDecl); isGeneral {
					read.add(file.Name.Name, general)
				}
			}
		}
	}
	return read
}

func (s source) add(in string, declared *ast.GenDecl) {
	for _, spec := range declared.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			name := in + "." + spec.Name.Name
			s.comments[name] = cmp.Or(oneLine(spec.Doc), oneLine(declared.Doc))
			if fields, isStruct := spec.Type.(*ast.StructType); isStruct {
				s.addFields(name, fields)
			}
		case *ast.ValueSpec:
			if of, isNamed := spec.Type.(*ast.Ident); isNamed && len(spec.Values) == 1 {
				if value, isText := spec.Values[0].(*ast.BasicLit); isText && value.Kind == token.STRING {
					name := in + "." + of.Name
					s.constants[name] = append(s.constants[name], strings.Trim(value.Value, `"`))
				}
			}
		}
	}
}

func (s source) addFields(name string, fields *ast.StructType) {
	for _, field := range fields.Fields.List {
		for _, one := range field.Names {
			s.comments[name+"."+one.Name] = cmp.Or(oneLine(field.Doc), oneLine(field.Comment))
		}
	}
}

func oneLine(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}

// nameOf returns the name of a type as the keys of source have it.
func nameOf(t reflect.Type) string { return path.Base(t.PkgPath()) + "." + t.Name() }

// schemas are the schemas of structs, by name.
type schemas struct {
	source

	named object
}

// of returns the schema of a type.
func (s schemas) of(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		// Programs must expect other reasons and checks in later versions.
		if values := s.constants[nameOf(t)]; len(values) > 0 && path.Base(t.PkgPath()) == "bus" {
			return object{"type": "string", "enum": values}
		}
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return object{"type": "object"}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return object{"type": "string", "format": "date-time"}
		}
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if s.named[name] == nil {
			s.named[name] = object{}
			s.named[name] = s.ofFields(t)
		}
		return object{"$ref": "#/components/schemas/" + name}
	default:
		return object{"type": "integer"}
	}
}

func (s schemas) ofFields(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" || name == "-" {
			continue
		}
		schema := s.of(field.Type)
		if described := s.describe(t, field, name); described != "" {
			schema["description"] = described
		}
		properties[name] = schema
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	described := object{"type": "object", "properties": properties, "required": required}
	if comment := s.comments[nameOf(t)]; comment != "" {
		described["description"] = comment
	}
	return described
}

// describe returns what a field is, as the comment in the source says it.
func (s schemas) describe(t reflect.Type, field reflect.StructField, name string) string {
	if len(field.Index) > 1 { // of an embedded struct
		if t = t.FieldByIndex(field.Index[:len(field.Index)-1]).Type; t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	parts := []string{s.comments[nameOf(t)+"."+field.Name]}
	if strings.HasSuffix(name, "_ms") && name != "connected_ms" && name != "step_ms" {
		parts = append(parts, "Milliseconds since 1970 UTC.")
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// document returns the document of the operations and their access.
func document(t *testing.T) object {
	t.Helper()
	access := map[string]Access{}
	for _, one := range (&Server{}).apiPages() {
		access[one.pattern] = one.access
	}
	all, paths := schemas{source: readSource(t), named: object{}}, object{}
	failure := object{"description": "What is wrong.", "content": jsonContent(all.of(reflect.TypeFor[apiError]()))}
	for _, pattern := range slices.Sorted(maps.Keys(operations())) {
		method, path, _ := strings.Cut(pattern, " ")
		one := operations()[pattern]
		parameters := []any{}
		for part := range strings.SplitSeq(path, "/") {
			if name, isName := strings.CutPrefix(part, "{"); isName {
				name = strings.TrimSuffix(name, "}")
				parameters = append(parameters, object{
					"name": name, "in": "path", "required": true, "schema": object{"type": "string"},
					"description": map[string]string{
						"name": "The name of a user, in any spelling.", "id": "The ID of a line, as in the lists of lines.",
					}[name],
				})
			}
		}
		for _, p := range one.parameters {
			parameters = append(parameters, object{
				"name": p.name, "in": "query", "description": p.description, "schema": p.schema,
			})
		}
		described := object{
			"summary": one.summary, "parameters": parameters, "security": securityOf(access[pattern]),
			"responses": object{
				fmt.Sprint(one.code): object{
					"description": http.StatusText(one.code), "content": jsonContent(all.of(reflect.TypeOf(one.reply))),
				},
				"default": failure,
			},
		}
		if one.body != nil {
			described["requestBody"] = object{"required": true, "content": jsonContent(all.of(reflect.TypeOf(one.body)))}
		}
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(method)] = described
	}
	return object{
		"openapi": "3.1.0", "paths": paths, "servers": []any{object{"url": "../.."}},
		"info": object{"title": "The pages of a channel", "version": "1", "description": "Replies with 200 are those of " +
			"the requests over NATS, with the same fields. Every error is an object with error: 400 if a parameter is none, " +
			"401 without a token, 403 with one that does not suffice, 404, 405 with Allow, 429 after too many wrong tokens, " +
			"503 with Retry-After while the database is away or others use it. Fields may be added."},
		"components": object{"schemas": all.named, "securitySchemes": object{
			"bearer": object{"type": "http", "scheme": "bearer"},
			"header": object{"type": "apiKey", "in": "header", "name": tokenHeader},
		}},
	}
}

func jsonContent(schema object) object { return object{"application/json": object{"schema": schema}} }

// securityOf is the access as the document says it: an empty object means that no token is needed.
func securityOf(access Access) []any {
	tokens := []any{object{"bearer": []any{}}, object{"header": []any{}}}
	switch access {
	case ForAll:
		return []any{object{}}
	case ForReaders, ForPeople:
		return append([]any{object{}}, tokens...)
	default:
		return tokens
	}
}

func TestOpenAPIDocumentIsOfTheseHandlers(t *testing.T) {
	t.Parallel()
	handlers := []string{}
	for _, one := range (&Server{}).pages() {
		if _, path, _ := strings.Cut(one.pattern, " "); strings.HasPrefix(path, "/api/v1/") {
			handlers = append(handlers, one.pattern)
		}
	}
	slices.Sort(handlers)
	if described := slices.Sorted(maps.Keys(operations())); !slices.Equal(described, handlers) {
		t.Errorf("described are %q, served are %q", described, handlers)
	}
	want, err := json.MarshalIndent(document(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(openAPI, want) {
		t.Error("openapi.json is not of these handlers: go test ./runtime/web -run OpenAPI -update")
	}
}

// mismatch says where a value is not what a schema of the document says. Empty: it is. A field that the schema does not
// have is a mismatch.
func mismatch(root, schema object, value any, at string) string {
	if ref, isRef := schema["$ref"].(string); isRef {
		named := lookUp(root, "components", "schemas", ref[strings.LastIndex(ref, "/")+1:])
		return mismatch(root, named, value, at)
	}
	is := map[string]bool{}
	switch typed := value.(type) {
	case object:
		is["object"] = true
		if properties, has := schema["properties"].(object); has {
			return fieldMismatch(root, schema, properties, typed, at)
		}
	case []any:
		is["array"] = true
		items, _ := schema["items"].(object)
		if lowest, has := schema["minItems"].(float64); has && len(typed) != int(lowest) {
			return fmt.Sprintf("%s has %d items, not %v", at, len(typed), lowest)
		}
		for i, item := range typed {
			if found := mismatch(root, items, item, fmt.Sprintf("%s[%d]", at, i)); found != "" {
				return found
			}
		}
	case string:
		is["string"] = true
		if allowed, has := schema["enum"].([]any); has && !slices.Contains(allowed, value) {
			return fmt.Sprintf("%s is %q, expected one of %v", at, typed, allowed)
		}
	case bool:
		is["boolean"] = true
	case float64:
		is["number"], is["integer"] = true, typed == float64(int64(typed))
	}
	if wanted, _ := schema["type"].(string); !is[wanted] {
		return fmt.Sprintf("%s is %v, and no %q", at, value, wanted)
	}
	return ""
}

func fieldMismatch(root, schema, properties, value object, at string) string {
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, has := value[fmt.Sprint(name)]; !has {
			return fmt.Sprintf("%s lacks %v", at, name)
		}
	}
	for name, field := range value {
		known, has := properties[name].(object)
		if !has {
			return at + "." + name + " is not in the document"
		}
		if found := mismatch(root, known, field, at+"."+name); found != "" {
			return found
		}
	}
	return ""
}

// lookUp returns the object at a path of keys, and an empty one if there is none.
func lookUp(at object, keys ...string) object {
	for _, key := range keys {
		at, _ = at[key].(object)
	}
	return at
}
