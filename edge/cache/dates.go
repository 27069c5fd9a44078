package cache

import (
	"net/http"
	"time"
)

// parseDate reads an HTTP-date in any of its three forms (RFC 9110 section
// 5.6.7). Of the form with two digits, a year that appears more than 50 years
// ahead is in the past.
func parseDate(s string, now time.Time) (time.Time, bool) {
	if len(s) < 20 { // shorter than any form: "0", "-1", "now"
		return time.Time{}, false
	}
	t, err := time.Parse(http.TimeFormat, s)
	if err == nil {
		return t, true
	}
	if t, err = time.Parse("Monday, 02-Jan-06 15:04:05 GMT", s); err == nil {
		t = t.AddDate((now.Year()/100-t.Year()/100)*100, 0, 0)
		if t.After(now.AddDate(50, 0, 0)) {
			t = t.AddDate(-100, 0, 0)
		}
		return t, true
	}
	if t, err = time.Parse(time.ANSIC, s); err == nil {
		return t, true
	}
	return time.Time{}, false
}

// parseAge reads Age lines (RFC 9111 section 5.1): the first member of the
// first line counts; what is no non-negative integer is ignored.
func parseAge(lines []string) int64 {
	if len(lines) == 0 {
		return 0
	}
	line := lines[0]
	for i := 0; i < len(line); i++ {
		if line[i] == ',' {
			line = line[:i]
			break
		}
	}
	n, ok := deltaSeconds(trim(line))
	if !ok {
		return 0
	}
	return n
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
