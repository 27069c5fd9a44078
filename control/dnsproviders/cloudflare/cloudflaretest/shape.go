package cloudflaretest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"strings"

	"github.com/cloudflare/cloudflare-go/v6/dns"
)

// The shape of requests is checked against the types that Cloudflare generates
// from its OpenAPI description.

var recordParams = map[string]reflect.Type{
	"A": reflect.TypeFor[dns.ARecordParam](), "AAAA": reflect.TypeFor[dns.AAAARecordParam](), "CNAME": reflect.TypeFor[dns.CNAMERecordParam](),
	"TXT": reflect.TypeFor[dns.TXTRecordParam](), "MX": reflect.TypeFor[dns.MXRecordParam](), "NS": reflect.TypeFor[dns.NSRecordParam](),
	"PTR": reflect.TypeFor[dns.PTRRecordParam](), "CAA": reflect.TypeFor[dns.CAARecordParam](), "SRV": reflect.TypeFor[dns.SRVRecordParam](),
	"TLSA": reflect.TypeFor[dns.TLSARecordParam](), "SSHFP": reflect.TypeFor[dns.SSHFPRecordParam](), "SVCB": reflect.TypeFor[dns.SVCBRecordParam](),
	"HTTPS": reflect.TypeFor[dns.HTTPSRecordParam](),
}

// checkBatch checks the body of a batch.
func checkBatch(body []byte) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(body, &parts); err != nil {
		return err
	}
	known := fields(reflect.TypeFor[dns.RecordBatchParams]())
	for part, raw := range parts {
		if _, ok := known[part]; !ok {
			return fmt.Errorf("a batch has no %q", part)
		}
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		for i, item := range items {
			if err := checkItem(part, item); err != nil {
				return fmt.Errorf("%s[%d] %s: %w", part, i, item, err)
			}
		}
	}
	return nil
}

func checkItem(part string, item json.RawMessage) error {
	if part == "deletes" {
		return conforms(item, reflect.TypeFor[dns.RecordBatchParamsDelete](), "")
	}
	var r struct {
		ID   string
		Type string
	}
	if err := json.Unmarshal(item, &r); err != nil {
		return err
	}
	typ, ok := recordParams[r.Type]
	if !ok {
		return fmt.Errorf("there is no record type %q", r.Type)
	}
	if part == "patches" {
		if r.ID == "" {
			return fmt.Errorf("a patch needs an id")
		}
		var rest map[string]json.RawMessage
		if err := json.Unmarshal(item, &rest); err != nil {
			return err
		}
		delete(rest, "id")
		item, _ = json.Marshal(rest)
	}
	return conforms(item, typ, "")
}

type field struct {
	typ      reflect.Type
	format   string
	required bool
}

// fields lists what a params type sends.
func fields(t reflect.Type) map[string]field {
	all := map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for name, inner := range fields(f.Type) {
				all[name] = inner
			}
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			all[name] = field{f.Type, f.Tag.Get("format"), f.Tag.Get("api") == "required"}
		}
	}
	return all
}

// conforms reports where JSON is not what a generated type could have sent.
func conforms(raw json.RawMessage, t reflect.Type, format string) error {
	if t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Field[") { // param.Field[T]
		f, _ := t.FieldByName("Value")
		t = f.Type
	}
	switch t.Kind() {
	case reflect.Struct:
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return err
		}
		known := fields(t)
		for name, value := range object {
			f, ok := known[name]
			if !ok {
				return fmt.Errorf("%s has no %q", t.Name(), name)
			}
			if err := conforms(value, f.typ, f.format); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		for name, f := range known {
			if _, sent := object[name]; f.required && !sent {
				return fmt.Errorf("%s needs %q", t.Name(), name)
			}
		}
		return nil
	case reflect.String:
		v := reflect.New(t)
		if err := json.Unmarshal(raw, v.Interface()); err != nil {
			return err
		}
		if enum, ok := v.Elem().Interface().(interface{ IsKnown() bool }); ok && !enum.IsKnown() {
			return fmt.Errorf("%s is no %s", raw, t.Name())
		}
		return checkFormat(v.Elem().String(), format)
	default:
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		v := reflect.New(t)
		if err := decoder.Decode(v.Interface()); err != nil {
			return err
		}
		if ttl, ok := v.Elem().Interface().(dns.TTL); ok && ttl != 1 && (ttl < 60 || ttl > 86400) {
			return fmt.Errorf("%v is no TTL", ttl)
		}
		return nil
	}
}

func checkFormat(s, format string) error {
	ip := net.ParseIP(s)
	switch {
	case format == "ipv4" && (ip == nil || ip.To4() == nil), format == "ipv6" && (ip == nil || ip.To4() != nil):
		return fmt.Errorf("%q is no %s", s, format)
	case format == "hostname" && (s == "" || strings.HasSuffix(s, ".") && s != "." || strings.ContainsAny(s, " \"")):
		return fmt.Errorf("%q is no hostname as Cloudflare writes them", s)
	}
	return nil
}
