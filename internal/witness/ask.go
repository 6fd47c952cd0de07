package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// ErrAhead means that a witness has seen a larger checkpoint of this log than
// was ever signed here: somebody else signs with the log's key, or this log
// was restored from a backup. Somebody must look.
var ErrAhead = errors.New("it has seen a larger log than this one")

// A result is how asking a witness ended.
type result struct {
	member     *member
	checkpoint tree.Signed
	line       []byte // the cosignature, as a line of the checkpoint
	size       int64  // the largest checkpoint the witness is known to have seen
	err        error
}

// serve asks a witness about what it is given, one checkpoint at a time.
func (w *Witnesses) serve(ctx context.Context, m *member) {
	m.mu.Lock()
	size := m.status.Size
	m.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return
		case signed := <-m.asked:
			r := result{member: m, checkpoint: signed, size: size}
			r.line, r.size, r.err = w.cosign(ctx, m.witness, signed, size)
			size = r.size
			w.results <- r // has room: one result for each member
		}
	}
}

// cosign asks a witness that is thought to have seen size records for its
// cosignature of signed. It returns what the witness has seen then.
func (w *Witnesses) cosign(ctx context.Context, witness proof.Witness, signed tree.Signed, size int64) ([]byte, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	const tries = 2            // the first may teach us the size
	size = min(size, signed.N) // if it has seen more it will say so again
	for try := 1; ; try++ {
		status, answer, err := w.post(ctx, witness, signed, size)
		switch {
		case err != nil:
			return nil, size, fmt.Errorf("witness: %s: %w", witness.Name, err)
		case status == http.StatusOK:
			line, err := w.accept(witness, signed, answer)
			if err != nil {
				return nil, size, fmt.Errorf("witness: %s: %w", witness.Name, err)
			}
			return line, signed.N, nil
		case status != http.StatusConflict || try == tries:
			return nil, size, fmt.Errorf("witness: %s: %s: %s", witness.Name, reason(status), firstLine(answer))
		}
		if size, err = parseSize(answer); err != nil {
			return nil, 0, fmt.Errorf("witness: %s: conflict: %w", witness.Name, err)
		}
		if size > signed.N {
			return nil, size, fmt.Errorf("witness: %s: %w", witness.Name, w.ahead(size))
		}
	}
}

// ahead judges a witness that has seen size records, more than we ask about.
func (w *Witnesses) ahead(size int64) error {
	if latest := w.config.Tree.Latest(); size > latest.N {
		return fmt.Errorf("%w: %d records, signed here were %d", ErrAhead, size, latest.N)
	}
	return fmt.Errorf("has seen %d records already", size) // a newer checkpoint is on its way to it
}

// post sends the request of tlog-witness and returns the answer.
func (w *Witnesses) post(ctx context.Context, witness proof.Witness, signed tree.Signed, old int64) (int, []byte, error) {
	path, err := w.config.Tree.Consistency(old, signed.N)
	if err != nil {
		return 0, nil, err
	}
	body, err := proof.FormatConsistency(&proof.Consistency{Old: old, Path: path, Checkpoint: signed.Message})
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, witness.URL+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	response, err := w.config.Client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return 0, nil, err
	}
	if len(answer) > maxAnswerBytes {
		return 0, nil, fmt.Errorf("answer of more than %d bytes", maxAnswerBytes)
	}
	return response.StatusCode, answer, nil
}

// accept returns the line of answer that is the witness's valid cosignature of
// signed. Lines by other keys are ignored, as the protocol demands.
func (w *Witnesses) accept(witness proof.Witness, signed tree.Signed, answer []byte) ([]byte, error) {
	policy, err := w.config.Policy.WithLogs(w.config.Tree.Keys().Verifiers()...)
	if err != nil {
		return nil, err
	}
	var refused error
	lines := slices.Collect(bytes.Lines(answer))
	for _, line := range lines[:min(len(lines), maxAnswerLines)] {
		c, err := policy.Check(append(append([]byte(nil), signed.Message...), line...))
		if err != nil {
			refused = err
			continue
		}
		if len(c.Cosignatures) == 1 && c.Cosignatures[0].Witness == witness.Name {
			return append([]byte(nil), line...), nil
		}
	}
	if refused != nil {
		return nil, fmt.Errorf("answer has no valid cosignature by its key: %w", refused)
	}
	return nil, errors.New("answer has no cosignature by its key")
}

// parseSize reads the answer to a conflict: the size the witness has seen.
func parseSize(answer []byte) (int64, error) {
	text := strings.TrimSuffix(string(answer), "\n")
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size < 0 || size > proof.MaxTreeSize || strconv.FormatInt(size, 10) != text {
		return 0, fmt.Errorf("answer %s is not a size", firstLine(answer))
	}
	return size, nil
}

// reason says what a status of tlog-witness means.
func reason(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "refused the request (400)"
	case http.StatusForbidden:
		return "does not know the log's key (403)"
	case http.StatusNotFound:
		return "does not know the log (404)"
	case http.StatusConflict:
		return "changes its mind about the size it has seen (409)"
	case http.StatusUnprocessableEntity:
		return "refused the consistency proof (422)"
	}
	return fmt.Sprintf("status %d", status)
}

// firstLine returns the start of what a witness answered, quoted.
func firstLine(answer []byte) string {
	const most = 100 // bytes
	line, _, _ := bytes.Cut(answer, []byte("\n"))
	return strconv.Quote(string(line[:min(len(line), most)]))
}
