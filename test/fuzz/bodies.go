package fuzz

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/bus"
)

// field is a field of a JSON object, as it is written: either may be invalid JSON.
type field struct{ name, value string }

func object(fields ...field) string {
	var out strings.Builder
	out.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%s:%s", quote(f.name), f.value)
	}
	out.WriteByte('}')
	return out.String()
}

// quote returns a JSON string. Other than strconv.Quote it leaves bytes that are not UTF-8 as they are.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\x00", `\u0000`).Replace(text) + `"`
}

// valid returns the fields of a message that the service accepts.
func valid(random *rand.Rand, suffix bus.Suffix) []field {
	if fields := templates[suffix]; fields != nil {
		return fields(random)
	}
	return []field{{"limit", digits(random, 100)}}
}

// templates return the fields of a valid message of each subject with fields of its own.
var templates = map[bus.Suffix]func(*rand.Rand) []field{
	bus.UserJoined:         userFields,
	bus.UserLeft:           userFields,
	bus.QueryUserStats:     userFields,
	bus.StatsUserCount:     countFields,
	bus.StatsHighWater:     countFields,
	bus.StatusUpdate:       statusFields,
	bus.OutboundPut:        putFields,
	bus.OutboundPutCommand: putFields,
	bus.KVGet:              keyFields,
	bus.KVDelete:           keyFields,
	bus.MessageLog: func(random *rand.Rand) []field {
		return append(userFields(random), field{"message", quote(anyText(random))})
	},
	bus.ActionPMCommand: func(random *rand.Rand) []field {
		return append(userFields(random), field{"command", `"seen"`}, field{"args", quote(anyText(random))},
			field{"result", `"success"`})
	},
	bus.OutboundGet: func(random *rand.Rand) []field {
		return []field{{"limit", digits(random, 30)}, {"max_retries", "4"}, {"claimant", quote(anyName(random))}}
	},
	bus.OutboundSent: func(random *rand.Rand) []field { return []field{{"message_id", digits(random, 3000)}} },
	bus.OutboundFailed: func(random *rand.Rand) []field {
		return []field{{"message_id", digits(random, 3000)}, {"error", quote(anyText(random))},
			{"permanent", pick(random, "true", "false")}, {"retry_count", digits(random, 4)}}
	},
	bus.KVSet: func(random *rand.Rand) []field {
		return append(keyFields(random), field{"value", quote(anyText(random))}, field{"ttl_seconds", digits(random, 5)})
	},
	bus.DeadList: func(random *rand.Rand) []field {
		return []field{{"after", digits(random, 3000)}, {"limit", digits(random, 101)}}
	},
	bus.PeopleExport: func(random *rand.Rand) []field {
		cursor := pick(random, "", "dead:"+digits(random, 3000), digits(random, 9)+":"+digits(random, 3000), anyText(random))
		return append(userFields(random), field{"cursor", quote(cursor)})
	},
	// Not those whose lines are compared at the end: a client with this permission may remove them.
	bus.PeopleForget: func(random *rand.Rand) []field {
		return []field{{"username", quote("user" + digits(random, 50_000))}}
	},
	bus.OutboundCancel: func(random *rand.Rand) []field {
		return []field{{"id", digits(random, 3000)}, {"asker", quote(anyName(random))}}
	},
	bus.DeadRetry:  idsFields,
	bus.DeadDrop:   idsFields,
	pluginKVGet:    keyFields,
	pluginKVDelete: revisionFields,
	pluginKVSet: func(random *rand.Rand) []field {
		return append(revisionFields(random), field{"value", quote(anyText(random))},
			field{"ttl_seconds", digits(random, 5)})
	},
	pluginKVAdd: func(random *rand.Rand) []field {
		return append(keyFields(random), field{"by", pick(random, "1", "-1", "9223372036854775807", "0.5")})
	},
	pluginKVList: func(random *rand.Rand) []field {
		return []field{{"prefix", `"key"`}, {"after", quote("key" + digits(random, 1000))}, {"limit", digits(random, 1000)},
			{"values", pick(random, "true", "false")}}
	},
	bus.KVList: func(random *rand.Rand) []field {
		return []field{keyFields(random)[0], {"prefix", `"key"`}, {"limit", digits(random, 2000)}}
	},
}

func userFields(random *rand.Rand) []field { return []field{{"username", quote(anyName(random))}} }

func idsFields(random *rand.Rand) []field {
	ids := strings.Repeat(digits(random, 3000)+",", 1+random.IntN(25))
	return []field{{"ids", "[" + strings.TrimSuffix(ids, ",") + "]"}}
}

func countFields(random *rand.Rand) []field {
	return []field{{"chat_count", digits(random, 100)}, {"connected_count", digits(random, 200)}}
}

func putFields(random *rand.Rand) []field {
	return []field{{"message", quote(anyText(random))}, {"client_id", quote(digits(random, 1_000_000))}}
}

func keyFields(random *rand.Rand) []field {
	return []field{{"plugin_name", quote("plugin" + digits(random, 5))}, {"key", quote("key" + digits(random, 1000))}}
}

// revisionFields are keyFields, mostly with a revision that the key does not have.
func revisionFields(random *rand.Rand) []field {
	return append(keyFields(random), field{"if_revision", pick(random, "null", "0", digits(random, 1<<40), "-1", "1.5")})
}

func statusFields(random *rand.Rand) []field {
	return []field{{"status_data", object(field{"bot_name", quote(anyName(random))}, field{"bot_rank", "3"},
		field{"bot_connected", "1"}, field{"playlist_items", digits(random, 500)},
		field{"current_media_title", quote(anyText(random))}, field{"watching_since", anyTime(random)})}}
}

// body returns the body of a message: a valid one, or one with something wrong in it, of up to most bytes or a little
// more than that.
func body(random *rand.Rand, suffix bus.Suffix, most int) []byte {
	fields := append(valid(random, suffix), origin(random)...)
	switch random.IntN(10) {
	case 0:
		return []byte(object(fields...))
	case 1:
		return noObject(random, most)
	case 2:
		text := object(fields...)
		return []byte(text[:random.IntN(len(text))])
	case 3: // bytes flipped
		data := []byte(object(fields...))
		for range 1 + random.IntN(8) {
			data[random.IntN(len(data))] = anyByte(random)
		}
		return data
	case 4:
		return []byte(object(append(fields, field{anyText(random), oddValue(random, most)})...))
	case 5: // the same field twice
		return []byte(object(append(fields, field{fields[0].name, oddValue(random, most)})...))
	default:
		for range 1 + random.IntN(2) {
			fields[random.IntN(len(fields))].value = oddValue(random, most)
		}
		return []byte(object(fields...))
	}
}

// origin returns the optional fields that every message may have.
func origin(random *rand.Rand) (fields []field) {
	if random.IntN(3) == 0 {
		fields = append(fields, field{"timestamp", anyTime(random)})
	}
	if random.IntN(4) == 0 {
		fields = append(fields, field{"channel", pick(random, `"movienight"`, `"MovieNight"`, `"elsewhere"`, `""`, `"../x"`,
			quote(anyText(random)))})
	}
	if random.IntN(6) == 0 {
		fields = append(fields, field{"server", pick(random, `"http://cytube.invalid"`, `"http://cytube.invalid/"`,
			`"https://cytu.be"`, `"x"`, quote(anyText(random)))})
	}
	return fields
}

// noObject returns a body of up to most bytes that is not a JSON object, or one of a shape that is costly to decode.
func noObject(random *rand.Rand, most int) []byte {
	size := 1 + random.IntN(most)
	shape := pick(random,
		func() string { return "" },
		func() string {
			return pick(random, " ", "null", "[]", "0", `""`, "true", "{", "}", `{"":`, "{}{}", "\ufeff{}")
		},
		func() string { return strings.Repeat("[", size) },
		func() string { return strings.Repeat(`{"a":`, size/5+1) },
		func() string { // about as deep as the decoder of Go allows
			depth := min(9_000+random.IntN(2_000), size/2)
			return `{"username":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}"
		},
		func() string { return manyFields(size) },
		func() string { return "{" + strings.Repeat(`"username":"a",`, size/15+1) + `"message":"b"}` },
		func() string { return `{"username":"a","message":"` + strings.Repeat("\x00", size) },
		func() string { return "[" + strings.Repeat("{},", size/3) + "{}]" },
		func() string { return strings.Repeat(" ", size) },
		func() string { return `{"username":"` + strings.Repeat("a", size) + `"}` },
		func() string { return noise(random, min(size, 4096)) },
	)
	return []byte(shape())
}

// noise returns random bytes.
func noise(random *rand.Rand, size int) string {
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = anyByte(random)
	}
	return string(bytes)
}

func anyByte(random *rand.Rand) byte { return byte(random.Uint32()) } //nolint:gosec // any eight bits of it

func manyFields(size int) string {
	var out strings.Builder
	out.WriteByte('{')
	for i := 0; out.Len() < size; i++ {
		fmt.Fprintf(&out, `"k%d":%d,`, i, i)
	}
	out.WriteString(`"username":"a"}`)
	return out.String()
}

// oddValue returns a JSON value, valid or not, that a field hardly expects.
func oddValue(random *rand.Rand, most int) string {
	size := 1 + random.IntN(most)
	switch random.IntN(8) {
	case 0, 1:
		return pick(random, "null", "true", "false", "0", "-0", "-1", "1", "0.5", "1e308", "-1e308", "1e400", "1e-400", "NaN",
			"Infinity", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
			"2147483648", "253402300800", "1e15", "00", "0x10")
	case 2:
		return pick(random, `""`, `" "`, `"0"`, `"-1"`, `"1e3"`, `"NaN"`, "[]", "{}", "[[]]", `{"a":{"b":[1]}}`, `["a","b"]`)
	case 3, 4:
		return quote(anyText(random))
	case 5:
		return `"` + strings.Repeat(pick(random, "a", "é", "😀", `\u0000`, `\ud800`, `\n`, "<b>", "\u202e"), size/8+1) + `"`
	case 6:
		return strings.Repeat("9", min(size, 100_000))
	default:
		depth := min(size/2, 20_000)
		return strings.Repeat("[", depth) + strings.Repeat("]", depth)
	}
}

// anyTime returns a time on the wire: of now, or of any time that can be written and some that cannot.
func anyTime(random *rand.Rand) string {
	return pick(random, "0", "1", "-1", "1600000000", "1e9", "4102444800", "253402300799", "253402300800", "1e18",
		"0.0001", `"1600000000"`, "null", "1700000000.123456789", "-62135596800",
		strconv.Itoa(1_500_000_000+random.IntN(500_000_000)))
}

// anyText returns a short text with what texts may have.
func anyText(random *rand.Rand) string {
	return pick(random, "hello", "", " ", "/me waves", "/kick nobody", "/clear", "<script>alert(1)</script>",
		"'; DROP TABLE chat; --", "\x1b[2J\x1b]0;title\x07", "\u202eright to left", "\u2066\u2069\u200b\ufeff", "\x00",
		"a\x00b", "\xff\xfe", "\xed\xa0\x80", "e"+strings.Repeat("\u0301", 200), "😀", "../../etc/passwd", "%s%n%d",
		"${HOME}", "\r\nX: y", "line "+digits(random, 1_000_000), strings.Repeat("long ", random.IntN(200)))
}

func anyName(random *rand.Rand) string {
	return pick(random, "alice", "Bob", "Server", "SERVER", "Rosey", "nobody", "[server]", "user"+digits(random, 50_000),
		anyText(random))
}

func digits(random *rand.Rand, below int) string { return strconv.Itoa(random.IntN(below)) }

func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }
