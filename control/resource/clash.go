package resource

import (
	"errors"
	"fmt"

	"github.com/edgewright/edgewright/fault"
)

// Clash is why a resource of a plan cannot be there as the plan would leave it:
// because of another, or because another is missing.
type Clash struct {
	Kind   Kind
	Name   string
	With   string // the other one's name, of the same kind; "": it is missing
	Detail string
	Fix    string
}

// Clashes is the error of a Held that has found some. A planner that knows where
// resources are declared says where, of both; for others they are a Conflict.
type Clashes []Clash

// maxClashes is how many are told at once.
const maxClashes = 100

// Error implements error.
func (c Clashes) Error() string { return c[0].Detail }

// clashesAt turns clashes into a fault. at tells where a resource is declared, ""
// when it is not; nil: nothing is.
func clashesAt(err error, at func(kind Kind, name string) string) error {
	var list Clashes
	if !errors.As(err, &list) || len(list) == 0 {
		return err
	}
	if at == nil {
		c := list[0]
		more := ""
		if n := len(list) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		return fault.New(fault.Conflict, "%s: %s%s", c.Detail, c.Fix, more).About(fmt.Sprintf("%s %s", c.Kind, c.Name))
	}
	fields := make([]fault.Field, min(len(list), maxClashes))
	for i, c := range list[:len(fields)] {
		fields[i] = fault.Field{Pointer: at(c.Kind, c.Name), Detail: c.Detail, Fix: c.Fix}
		if other := at(c.Kind, c.With); c.With != "" && other != "" {
			fields[i].Detail += fmt.Sprintf("; the other is %s, at %s", c.With, other)
		} else if c.With != "" {
			fields[i].Detail += fmt.Sprintf("; the other is %s, which is there already", c.With)
		}
	}
	return fault.InvalidFields(fields)
}
