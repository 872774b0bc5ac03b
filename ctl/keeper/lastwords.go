package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"shisa/ctl/keeper/witness"
)

// LastWords is what the witness wrote down of a stall.
type LastWords = witness.Record

// ReadLastWords returns what the witness wrote into the file at path, oldest
// first, of this boot and of earlier ones: [LastWords].Boot tells. What is torn
// is passed over. Without the file the error wraps [os.ErrNotExist].
func ReadLastWords(path string) ([]LastWords, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, witness.FileSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) { // an empty file holds no words yet
		return nil, fmt.Errorf("read last words: %w", err)
	}
	var all []LastWords
	for number, text := range witness.Texts(b[:n]) {
		w := LastWords{Number: number}
		if json.Unmarshal(text, &w) != nil {
			continue // whole, but of another version
		}
		all = append(all, w)
	}
	return all, nil
}
