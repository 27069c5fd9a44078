package client

import (
	"encoding/json"
	"fmt"
)

// listAnswer decodes {"<items>": [...], "next_cursor": "..."}, where the name
// of the array differs from list to list.
type listAnswer[T any] struct {
	items string
	list  []T
	next  string
}

func (a *listAnswer[T]) UnmarshalJSON(data []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	raw, ok := object[a.items]
	if !ok {
		return fmt.Errorf("the answer has no %q", a.items)
	}
	if err := json.Unmarshal(raw, &a.list); err != nil {
		return err
	}
	if next, ok := object["next_cursor"]; ok {
		return json.Unmarshal(next, &a.next)
	}
	return nil
}

// wrap decodes an object that may stand in an envelope: {"<name>": {...}}.
type wrap[T any] struct {
	name string
	out  *T
}

func (w *wrap[T]) UnmarshalJSON(data []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	if inner, ok := object[w.name]; ok {
		data = inner
	}
	return json.Unmarshal(data, w.out)
}
