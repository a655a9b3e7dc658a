package answer

import (
	"maps"
	"slices"
)

// FunctionNames returns what templates can call.
func FunctionNames() []string {
	return slices.Sorted(maps.Keys(functions(new(execution))))
}
