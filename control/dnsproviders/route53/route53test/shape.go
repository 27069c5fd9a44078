package route53test

import (
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Requests are decoded into the SDK's own types, element by element: what they
// do not know, or a value that their enumerations do not have, is an error.

type node struct {
	XMLName  xml.Name
	Text     string `xml:",chardata"`
	Children []node `xml:",any"`
}

func parse(r io.Reader) (node, error) {
	var n node
	err := xml.NewDecoder(r).Decode(&n)
	return n, err
}

func (n node) child(name string) (node, error) {
	i := slices.IndexFunc(n.Children, func(c node) bool { return c.XMLName.Local == name })
	if i < 0 {
		return node{}, fmt.Errorf("%s has no %s", n.XMLName.Local, name)
	}
	return n.Children[i], nil
}

// into decodes a node into a value of an SDK type.
func (n node) into(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return n.into(v.Elem())
	case reflect.Struct:
		for _, c := range n.Children {
			f := v.FieldByName(c.XMLName.Local)
			if !f.IsValid() {
				return fmt.Errorf("%s has no %s", v.Type().Name(), c.XMLName.Local)
			}
			if err := c.into(f); err != nil {
				return fmt.Errorf("%s: %w", c.XMLName.Local, err)
			}
		}
		return nil
	case reflect.Slice:
		item := v.Type().Elem()
		for _, c := range n.Children {
			if c.XMLName.Local != item.Name() {
				return fmt.Errorf("%s holds a %s", n.XMLName.Local, c.XMLName.Local)
			}
			one := reflect.New(item).Elem()
			if err := c.into(one); err != nil {
				return err
			}
			v.Set(reflect.Append(v, one))
		}
		return nil
	case reflect.String:
		v.SetString(n.Text)
		if values := v.MethodByName("Values"); values.IsValid() {
			known := values.Call(nil)[0]
			for i := range known.Len() {
				if known.Index(i).String() == n.Text {
					return nil
				}
			}
			return fmt.Errorf("%q is no %s", n.Text, v.Type().Name())
		}
		return nil
	case reflect.Int64:
		i, err := strconv.ParseInt(n.Text, 10, 64)
		v.SetInt(i)
		return err
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Text)
		v.SetBool(b)
		return err
	}
	return fmt.Errorf("%s is a %s", n.XMLName.Local, v.Kind())
}

// out writes a value of an SDK type as the service does.
func out(b *strings.Builder, name string, v reflect.Value) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if v.IsZero() && v.Kind() != reflect.Struct && v.Kind() != reflect.Int64 && v.Kind() != reflect.Bool {
		return
	}
	fmt.Fprintf(b, "<%s>", name)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				out(b, f.Name, v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			out(b, v.Type().Elem().Name(), v.Index(i))
		}
	default:
		_ = xml.EscapeText(b, fmt.Append(nil, v.Interface())) // a Builder takes everything
	}
	fmt.Fprintf(b, "</%s>", name)
}
