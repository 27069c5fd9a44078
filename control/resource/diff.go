package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// FieldChange is one difference between two specs.
type FieldChange struct {
	Pointer string          `json:"pointer"`          // RFC 6901, "/origins/0/url"; "" is the whole
	Before  json.RawMessage `json:"before,omitempty"` // absent when added
	After   json.RawMessage `json:"after,omitempty"`  // absent when removed
}

// Diff returns the differences between two JSON documents, in order of their
// pointers' keys; elements of arrays are compared by index. nil stands for
// absence, so that a creation lists every field. What is not JSON is compared as
// bytes.
func Diff(before, after json.RawMessage) []FieldChange {
	if len(before) == 0 && len(after) == 0 {
		return nil
	}
	b, errBefore := decodeJSON(before)
	a, errAfter := decodeJSON(after)
	if errBefore != nil || errAfter != nil {
		if bytes.Equal(before, after) {
			return nil
		}
		return []FieldChange{{Before: before, After: after}}
	}
	// Creation and deletion are told field by field, like a change.
	if _, ok := a.(map[string]any); ok && len(before) == 0 {
		b = map[string]any{}
	}
	if _, ok := b.(map[string]any); ok && len(after) == 0 {
		a = map[string]any{}
	}
	var changes []FieldChange
	diffValues("", b, a, &changes)
	return changes
}

// EqualJSON reports that two documents mean the same: the order of keys and
// white space do not count, the spelling of numbers does. Documents that are
// not JSON are equal when their bytes are.
func EqualJSON(x, y json.RawMessage) bool {
	if bytes.Equal(x, y) {
		return true
	}
	a, errX := decodeJSON(x)
	b, errY := decodeJSON(y)
	return errX == nil && errY == nil && len(x) > 0 && len(y) > 0 && reflect.DeepEqual(a, b)
}

// absent stands for a value that is not there, which null is.
type absent struct{}

func diffValues(pointer string, before, after any, changes *[]FieldChange) {
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			diffObjects(pointer, b, a, changes)
			return
		}
	case []any:
		if a, ok := after.([]any); ok {
			diffArrays(pointer, b, a, changes)
			return
		}
	}
	if !reflect.DeepEqual(before, after) {
		*changes = append(*changes, FieldChange{Pointer: pointer, Before: encodeValue(before), After: encodeValue(after)})
	}
}

func diffObjects(pointer string, before, after map[string]any, changes *[]FieldChange) {
	keys := make([]string, 0, len(before)+len(after))
	for key := range before {
		keys = append(keys, key)
	}
	for key := range after {
		if _, ok := before[key]; !ok {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	for _, key := range keys {
		var b, a any = absent{}, absent{}
		if v, ok := before[key]; ok {
			b = v
		}
		if v, ok := after[key]; ok {
			a = v
		}
		diffValues(pointer+"/"+pointerEscaper.Replace(key), b, a, changes)
	}
}

func diffArrays(pointer string, before, after []any, changes *[]FieldChange) {
	for i := range max(len(before), len(after)) {
		var b, a any = absent{}, absent{}
		if i < len(before) {
			b = before[i]
		}
		if i < len(after) {
			a = after[i]
		}
		diffValues(pointer+"/"+strconv.Itoa(i), b, a, changes)
	}
}

// pointerEscaper writes a key as a segment of a JSON pointer (RFC 6901 section 3).
var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func encodeValue(v any) json.RawMessage {
	if _, ok := v.(absent); ok {
		return nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil // not possible for what decodeJSON returns
	}
	return bytes.TrimRight(text.Bytes(), "\n")
}

// decodeJSON keeps numbers as they are written: 64-bit integers do not survive
// a float. An empty document decodes to absence.
func decodeJSON(document json.RawMessage) (any, error) {
	if len(document) == 0 {
		return absent{}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return v, nil
}

var errTrailing = errors.New("more than one JSON document")
