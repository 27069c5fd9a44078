package fault

import (
	"strconv"
	"strings"
)

// Place writes a JSON pointer as a person says it: "/in/primaries/0/key" is "in,
// primaries 1, key". Pointers are for programs; Field has them.
func Place(pointer string) string {
	if where, name, ok := strings.Cut(pointer, ":"); ok && !strings.Contains(where, "/") { // query:limit
		return name
	}
	var words []string
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~", "_", " ").Replace(part)
		if n, err := strconv.Atoi(part); err == nil && len(words) > 0 {
			words[len(words)-1] += " " + strconv.Itoa(n+1)
			continue
		}
		words = append(words, part)
	}
	return strings.Join(words, ", ")
}
