package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// DecodeSpec decodes a user's spec into the struct that into points to, which
// may hold defaults. It is strict: unknown fields and values of the wrong type
// are Invalid faults, all of them at once, each with its pointer and, for an
// unknown field, the nearest known name as fix. An empty spec is an empty object.
func DecodeSpec(spec json.RawMessage, into any) error {
	if len(bytes.TrimSpace(spec)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(spec))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fault.InvalidField("", fmt.Sprintf("the spec is not JSON at byte %d: %v", syntax.Offset, err), "correct the syntax there")
		}
		return fault.InvalidField("", "the spec is not JSON: it ends too early", "complete it")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fault.InvalidField("", "something follows the spec", "send one JSON object")
	}
	var fields []fault.Field
	checkShape("", tree, reflect.TypeOf(into).Elem(), &fields)
	if err := fault.InvalidFields(fields); err != nil {
		return err
	}
	if err := json.Unmarshal(spec, into); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			pointer := "/" + strings.ReplaceAll(wrong.Field, ".", "/")
			return fault.InvalidField(pointer, "this is "+article(wrong.Value), "write "+article(wrong.Type.String()))
		}
		return fault.InvalidField("", "the spec cannot be read: "+err.Error(), "")
	}
	return nil
}

// checkShape compares a decoded document with the type it is meant for.
func checkShape(pointer string, value any, t reflect.Type, fields *[]fault.Field) {
	for t.Kind() == reflect.Pointer {
		if value == nil {
			return
		}
		t = t.Elem()
	}
	if t == reflect.TypeFor[json.RawMessage]() || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return
	}
	wrong := func(want string) {
		*fields = append(*fields, fault.Field{Pointer: pointer, Detail: "this is " + describe(value), Fix: "write " + want})
	}
	switch t.Kind() {
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			wrong("an object")
			return
		}
		checkFields(pointer, object, t, fields)
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok && value != nil {
			wrong("an object")
		}
		for _, key := range sortedKeys(object) {
			checkShape(pointer+"/"+pointerEscaper.Replace(key), object[key], t.Elem(), fields)
		}
	case reflect.Slice:
		if value == nil {
			return
		}
		if t.Elem().Kind() == reflect.Uint8 {
			if _, ok := value.(string); !ok {
				wrong("a string in base64")
			}
			return
		}
		list, ok := value.([]any)
		if !ok {
			wrong("a list")
			return
		}
		for i, item := range list {
			checkShape(pointer+"/"+strconv.Itoa(i), item, t.Elem(), fields)
		}
	case reflect.String:
		if _, ok := value.(string); !ok {
			wrong("a string")
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			wrong("true or false")
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := value.(json.Number)
		if !ok {
			wrong("a whole number")
			return
		}
		if _, err := strconv.ParseInt(n.String(), 10, t.Bits()); err != nil {
			wrong("a whole number")
		}
	case reflect.Float32, reflect.Float64:
		if _, ok := value.(json.Number); !ok {
			wrong("a number")
		}
	}
}

func checkFields(pointer string, object map[string]any, t reflect.Type, fields *[]fault.Field) {
	known := map[string]reflect.Type{}
	collectFields(t, known)
	for _, key := range sortedKeys(object) {
		child := pointer + "/" + pointerEscaper.Replace(key)
		if typ, ok := known[key]; ok {
			checkShape(child, object[key], typ, fields)
			continue
		}
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		sort.Strings(names)
		fix := "remove it"
		if near := Nearest(key, names); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		} else if len(names) > 0 {
			fix = "use one of " + strings.Join(names, ", ")
		}
		*fields = append(*fields, fault.Field{Pointer: child, Detail: fmt.Sprintf("%q is not a field", key), Fix: fix})
	}
}

func collectFields(t reflect.Type, known map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			collectFields(f.Type, known)
		case name == "":
			known[f.Name] = f.Type
		default:
			known[name] = f.Type
		}
	}
}

// Nearest returns the known name that a mistyped one most likely stands for, ""
// when none is near.
func Nearest(name string, known []string) string {
	best, bestDistance := "", min(max(len(name)/2, 2)+1, len(name))
	for _, candidate := range known {
		if d := distance(strings.ToLower(name), candidate); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

func sortedKeys(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return strconv.FormatBool(v)
	default:
		return "the number " + fmt.Sprint(v)
	}
}

func article(what string) string {
	if strings.ContainsRune("aeiou", rune((what + " ")[0])) {
		return "an " + what
	}
	return "a " + what
}

// MergePatch applies a merge patch (RFC 7396) to a stored spec. Error: Invalid
// when the patch is no JSON object; example is one that would do.
func MergePatch(target, patch json.RawMessage, example string) (json.RawMessage, error) {
	var into, from map[string]json.RawMessage
	if err := json.Unmarshal(target, &into); err != nil {
		return nil, fault.New(fault.Internal, "a stored spec cannot be read: %w", err)
	}
	if err := json.Unmarshal(patch, &from); err != nil {
		return nil, fault.InvalidField("", "the change is not a JSON object", "write one such as "+example)
	}
	for key, value := range from {
		text := strings.TrimSpace(string(value))
		switch {
		case text == "null":
			delete(into, key)
		case strings.HasPrefix(text, "{") && len(into[key]) > 0 && into[key][0] == '{':
			merged, err := MergePatch(into[key], value, example)
			if err != nil {
				return nil, err
			}
			into[key] = merged
		default:
			into[key] = value
		}
	}
	return json.Marshal(into)
}
