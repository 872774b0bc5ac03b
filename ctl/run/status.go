package run

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseStatus reads an exit status or a range of them: "0", "10-19".
func ParseStatus(text string) (from, to int, err error) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if err1 != nil || err2 != nil || from < 0 || to > 255 || from > to {
		return 0, 0, fmt.Errorf("%q is no exit status or range of them: write 0 to 255, such as \"0\" or \"10-19\"", text)
	}
	return from, to, nil
}
