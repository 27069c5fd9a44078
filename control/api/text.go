package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgewright/edgewright/fault"
)

// Text that no name, description or PEM has is refused at the door: not every
// database takes it, and terminals obey it.

// checkAddress looks at path and query. Unknown parameters are refused: who
// mistypes dry_run must not be taken at their word. project_id and environment
// may be sent with everything.
func checkAddress(r *http.Request, o *huma.Operation) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.New(fault.Invalid, "the query of the address cannot be read: %w", err)
	}
	bad := func(text string) bool {
		return !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl)
	}
	if bad(r.URL.Path) {
		return fault.New(fault.Invalid, "the path of the address holds control characters or invalid UTF-8")
	}
	known := []string{"project_id", "environment"}
	for _, p := range o.Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			return fault.InvalidField("query:"+strings.ToValidUTF8(name, "?"), "there is no such parameter", nearest(name, known))
		}
		if bad(name) || slices.ContainsFunc(values, bad) {
			return fault.InvalidField("query:"+strings.ToValidUTF8(name, "?"), "the value holds control characters or invalid UTF-8", "take them out")
		}
	}
	return nil
}

// checkBody looks at every string of a parsed body. Lines and tabs are fine.
func checkBody(in any) error {
	body := reflect.ValueOf(in).Elem().FieldByName("Body")
	if !body.IsValid() {
		return nil
	}
	return fault.InvalidFields(oddStrings("", body, nil))
}

func odd(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' })
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

func oddStrings(pointer string, v reflect.Value, found []fault.Field) []fault.Field {
	switch v.Kind() {
	case reflect.String:
		if odd(v.String()) {
			found = append(found, fault.Field{Pointer: pointer, Detail: "the text holds control characters", Fix: "take them out"})
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return oddStrings(pointer, v.Elem(), found)
		}
	case reflect.Slice:
		if v.Type() == rawMessage {
			var value any
			if json.Unmarshal(v.Bytes(), &value) == nil && value != nil {
				return oddStrings(pointer, reflect.ValueOf(value), found)
			}
			return found
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return found
		}
		for i := range v.Len() {
			found = oddStrings(fmt.Sprintf("%s/%d", pointer, i), v.Index(i), found)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			at := pointer + "/" + escapePointer(key.String())
			if odd(key.String()) {
				found = append(found, fault.Field{Pointer: at, Detail: "the name holds control characters", Fix: "take them out"})
			}
			found = oddStrings(at, v.MapIndex(key), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			at := pointer
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				at += "/" + escapePointer(name)
			}
			found = oddStrings(at, v.Field(i), found)
		}
	}
	return found
}

func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
